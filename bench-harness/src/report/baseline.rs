//! A campaign against an earlier one: which contenders have become slower, in times of the floor.

use serde::{Deserialize, Serialize};

use super::Report;
use super::numbers::{digits, range};
use super::table::Table;
use crate::contender::Group;
use crate::experiment::Experiment;
use crate::stats::analysis::Compared;
use crate::stats::bootstrap::Interval;
use crate::stats::regression::{self, Change, Judgement, Measured, Side};

/// What may pass without a word when no limit was given.
pub(crate) const ALLOWED: f64 = 0.1;

/// Something that has no counterpart.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct NotCompared {
    /// A scenario, or a contender in one.
    pub(crate) what: String,
    /// Why.
    pub(crate) why: String,
}

/// A campaign against an earlier one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Against {
    /// The earlier one's file.
    pub(crate) file: String,
    /// When it began.
    pub(crate) begun: String,
    /// The part that a contender may be worse by.
    pub(crate) allowed: f64,
    /// What was compared.
    pub(crate) changes: Vec<Change>,
    /// What was not.
    pub(crate) not_compared: Vec<NotCompared>,
    /// What makes the comparison doubtful.
    pub(crate) doubts: Vec<String>,
}

impl Against {
    /// Whether anybody is worse by more than is allowed.
    pub(crate) fn has_regressed(&self) -> bool {
        self.changes.iter().any(|change| change.judgement == Judgement::Worse)
    }

    /// What was compared, a row each.
    pub(super) fn table(&self) -> Table {
        let head = ["contender", "scenario", "figure", "baseline", "now", "change", "verdict"];
        let mut table = Table::new("Against the baseline", &head);
        for change in &self.changes {
            let interval = |found: &Interval| format!("{} ({})", digits(found.median), range(found, digits));
            table.row(vec![
                change.contender.clone(),
                change.scenario.clone(),
                change.measured.to_string(),
                interval(&change.before),
                interval(&change.now),
                format!("{:+.1} %", change.part() * 100.0),
                change.judgement.to_string(),
            ]);
        }
        table
    }

    /// What must be said around the table.
    pub(super) fn words(&self) -> String {
        let Self { file, begun, allowed, .. } = self;
        format!(
            "The baseline is {file}, begun {begun}. Figures are times of the floor in the same rounds, at the one \
             distance of the processors that both campaigns saw most. A contender is worse when its whole interval is \
             worse than the whole earlier one by more than {} %.",
            digits(allowed * 100.0)
        )
    }
}

/// Compares.
pub(crate) fn against(now: &Report, before: &Report, file: &str, allowed: f64) -> Against {
    let mut against = Against {
        file: file.into(),
        begun: before.begun.clone(),
        allowed,
        changes: vec![],
        not_compared: vec![],
        doubts: doubts(now, before),
    };
    for compared in &now.compared {
        let earlier = before.compared.iter().find(|earlier| earlier.scenario == compared.scenario);
        let definitions = now.scenario(&compared.scenario).zip(before.scenario(&compared.scenario));
        match (earlier, definitions) {
            (Some(earlier), Some((today, then))) if is_same(today, then) => {
                let sides = (
                    Side { rows: &earlier.rows, distances: &before.distances },
                    Side { rows: &compared.rows, distances: &now.distances },
                );
                against.scenario(today, (earlier, compared), &sides);
            }
            (Some(_), Some(_)) => against.skip(&compared.scenario, "its definition has changed"),
            _ => against.skip(&compared.scenario, "it is not in the baseline"),
        }
    }
    for earlier in &before.compared {
        if now.compared.iter().all(|compared| compared.scenario != earlier.scenario) {
            against.skip(&earlier.scenario, "it was not run now");
        }
    }
    if against
        .changes
        .iter()
        .any(|change| change.judgement == Judgement::Worse && now.group(&change.contender) != Group::Ours)
    {
        let doubt = "Contenders that are not ours are worse as well: look at the machine before the code.";
        against.doubts.push(doubt.into());
    }
    against
}

impl Against {
    fn skip(&mut self, what: &str, why: &str) {
        self.not_compared.push(NotCompared { what: what.into(), why: why.into() });
    }

    fn scenario(&mut self, scenario: &Experiment, (before, now): (&Compared, &Compared), sides: &(Side<'_>, Side<'_>)) {
        if scenario.floor.is_empty() {
            return self.skip(&scenario.name, "it has no floor to compare to");
        }
        let has = |compared: &Compared, name: &str| compared.lines.iter().any(|line| line.contender == name);
        let in_scenario = |name: &str| format!("{name} in {}", scenario.name);
        for line in before.lines.iter().filter(|line| !has(now, &line.contender)) {
            self.skip(&in_scenario(&line.contender), "it did not take part now");
        }
        for line in now.lines.iter().filter(|line| line.contender != scenario.floor) {
            let name = line.contender.as_str();
            if !has(before, name) {
                self.skip(&in_scenario(name), "it is not in the baseline");
                continue;
            }
            for measured in Measured::ALL {
                let names = (name, scenario.floor.as_str());
                match regression::change((&sides.0, &sides.1), names, measured, self.allowed) {
                    Ok((before, now, judgement)) => self.changes.push(Change {
                        scenario: scenario.name.clone(),
                        contender: name.into(),
                        measured,
                        before,
                        now,
                        judgement,
                    }),
                    Err(why) => self.skip(&format!("{measured} of {}", in_scenario(name)), &why),
                }
            }
        }
    }
}

/// Whether both run the same: everything but the words, and who takes part.
fn is_same(first: &Experiment, second: &Experiment) -> bool {
    let bare = |experiment: &Experiment| {
        let mut value = serde_json::to_value(experiment).ok()?;
        let fields = value.as_object_mut()?;
        for words in ["what", "why", "expected", "cannot_show", "quick", "contenders", "not_yet"] {
            fields.remove(words);
        }
        Some(value)
    };
    bare(first) == bare(second)
}

/// Facts of the machine that change ratios, too.
const DECIDING: [&str; 4] = ["processor", "processors", "kernel", "idle"];

fn doubts(now: &Report, before: &Report) -> Vec<String> {
    let fact = |report: &Report, name: &str| {
        let found = report.machine.facts.iter().find(|(fact, _)| fact == name);
        found.map_or_else(|| "not said".to_owned(), |(_, value)| value.clone())
    };
    let differing = DECIDING.iter().filter_map(|name| {
        let (then, today) = (fact(before, name), fact(now, name));
        (then != today).then(|| format!("The machine is another one: {name} was `{then}`, and is `{today}`."))
    });
    let mut doubts: Vec<String> = differing.collect();
    if (now.span_ms, now.warm_up_ms) != (before.span_ms, before.warm_up_ms) {
        let (then, today) = (before.span_ms, now.span_ms);
        doubts.push(format!("Rows were measured for {then} ms in the baseline, and for {today} ms now."));
    }
    doubts
}
