//! Which rows an interrupted campaign lacks.

use crate::stats::analysis::Done;
use crate::stats::plan::{Part, Row};

/// A line for each scenario that lacks some: who, and how many rounds.
pub(crate) fn lines(wanted: &[Row], done: &[Done]) -> Vec<String> {
    // Rows are done in their order.
    let left = wanted.get(done.len()..).unwrap_or_default();
    let mut scenarios: Vec<&str> = vec![];
    for row in left {
        if !scenarios.contains(&row.scenario.as_str()) {
            scenarios.push(&row.scenario);
        }
    }
    scenarios.into_iter().map(|name| line(name, wanted, left)).collect()
}

fn line(scenario: &str, wanted: &[Row], left: &[Row]) -> String {
    let count = |rows: &[Row], label: &str| {
        rows.iter().filter(|row| row.scenario == scenario && self::label(row) == label).count()
    };
    let mut labels: Vec<String> = vec![];
    for row in left.iter().filter(|row| row.scenario == scenario) {
        let label = label(row);
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let lacks = labels.iter().map(|label| format!("{label} {} of {}", count(left, label), count(wanted, label)));
    format!("Missing in {scenario}: {}.", lacks.collect::<Vec<_>>().join(", "))
}

fn label(row: &Row) -> String {
    match row.part {
        Part::Main => row.contender.clone(),
        Part::Same | Part::Again => format!("A/A of {}", row.contender),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Shape;
    use crate::stats::plan::{Scenario, rows};

    #[test]
    fn what_was_not_run_is_named() {
        let scenario = |name: &str| Scenario {
            name: name.into(),
            shape: Shape::new(32, 1),
            contenders: ["a", "b"].map(Into::into).into(),
            references: vec!["a".into()],
            ..Scenario::default()
        };
        let wanted = rows(&[scenario("s"), scenario("t")], 3);
        let run = |count| -> Vec<Done> {
            let rows = wanted.iter().take(count);
            rows.map(|row| Done { row: row.clone(), begun: 0.0, outcome: Err(String::new()) }).collect()
        };
        assert!(lines(&wanted, &run(wanted.len())).is_empty());
        let last = lines(&wanted, &run(wanted.len() - 3));
        assert_eq!(last, ["Missing in s: b 1 of 3.", "Missing in t: a 1 of 3, b 1 of 3."]);
        let early = lines(&wanted, &run(9));
        assert_eq!(early[0], "Missing in s: A/A of a 1 of 6, a 3 of 3, b 3 of 3.");
    }
}
