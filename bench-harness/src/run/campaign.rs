//! All rows, one after the other.

use crate::date;
use crate::measure::job::Outcome;
use crate::stats::analysis::Done;
use crate::stats::plan::Row;

/// What runs a row. The real one starts processes; the statistics are tested with a fake one.
pub(crate) trait Executor {
    /// Runs a row.
    ///
    /// # Errors
    /// Why there is no outcome, for people.
    fn run(&mut self, row: &Row) -> Result<Outcome, String>;
}

/// Runs rows until there are no more, or `is_interrupted`; `before` is told the number of each, and what it is. A row
/// that fails is recorded as failed, and the others go on; one that was interrupted is no row.
pub(crate) fn run(
    rows: &[Row],
    executor: &mut dyn Executor,
    is_interrupted: &dyn Fn() -> bool,
    before: &mut dyn FnMut(usize, &Row),
) -> Vec<Done> {
    let mut done = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        if is_interrupted() {
            break;
        }
        before(number, row);
        let begun = date::seconds();
        let outcome = executor.run(row);
        if outcome.is_err() && is_interrupted() {
            break;
        }
        done.push(Done { row: row.clone(), begun, outcome });
    }
    done
}
