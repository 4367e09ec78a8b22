//! Which rows there are, and in which order.

use serde::{Deserialize, Serialize};

use crate::contender::Shape;
use crate::measure::task::Task;

/// A scenario, as far as running and comparing care.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Scenario {
    /// As on the command line.
    pub(crate) name: String,
    /// What a call looks like.
    pub(crate) shape: Shape,
    /// What clients do.
    pub(crate) task: Task,
    /// Who takes part.
    pub(crate) contenders: Vec<String>,
    /// Those to whom the others are compared, and who are compared to themselves.
    pub(crate) references: Vec<String>,
}

/// Why a row is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// A reference as itself, in the A/A run.
    Same,
    /// The same reference once more.
    Again,
    /// The comparison.
    Main,
}

/// One pair of fresh processes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// The contender's name.
    pub(crate) contender: String,
    /// Why.
    pub(crate) part: Part,
    /// From 0.
    pub(crate) round: usize,
    #[serde(skip)]
    pub(crate) shape: Shape,
    #[serde(skip)]
    pub(crate) task: Task,
}

/// All rows in their order: the A/A run, then rounds; A B C in even rounds, C B A in odd ones, so that what drifts
/// steadily hits all alike.
pub(crate) fn rows(scenarios: &[Scenario], rounds: usize) -> Vec<Row> {
    let same = (0..rounds).flat_map(|round| scenarios.iter().flat_map(move |scenario| same_rows(scenario, round)));
    let main = (0..rounds).flat_map(|round| {
        scenarios.iter().flat_map(move |scenario| {
            let rows = scenario.contenders.iter().map(|name| row(scenario, name, Part::Main, round));
            turned(rows.collect(), round)
        })
    });
    same.chain(main).collect()
}

fn same_rows(scenario: &Scenario, round: usize) -> Vec<Row> {
    let both = [Part::Same, Part::Again];
    let rows = scenario.references.iter().flat_map(|name| both.map(|part| row(scenario, name, part, round)));
    turned(rows.collect(), round)
}

fn turned(mut rows: Vec<Row>, round: usize) -> Vec<Row> {
    if !round.is_multiple_of(2) {
        rows.reverse();
    }
    rows
}

fn row(scenario: &Scenario, contender: &str, part: Part, round: usize) -> Row {
    let (shape, task) = (scenario.shape, scenario.task);
    Row { scenario: scenario.name.clone(), contender: contender.into(), part, round, shape, task }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_turn_and_the_same_comes_first() {
        let scenario = Scenario {
            name: "s".into(),
            shape: Shape::new(32, 1),
            task: Task::default(),
            contenders: ["a", "b", "c"].map(Into::into).into(),
            references: vec!["b".into()],
        };
        let rows = rows(&[scenario], 2);
        let order: Vec<String> =
            rows.iter().map(|row| format!("{}{:?}{}", row.contender, row.part, row.round)).collect();
        assert_eq!(order[..4], ["bSame0", "bAgain0", "bAgain1", "bSame1"]);
        assert_eq!(order[4..], ["aMain0", "bMain0", "cMain0", "cMain1", "bMain1", "aMain1"]);
    }
}
