//! A table with a title, for terminals and for Markdown; `html` has its own way.

/// The first column is words, the others are numbers.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(super) title: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<S: ToString>(title: &str, head: &[S]) -> Self {
        Self { title: title.into(), head: head.iter().map(ToString::to_string).collect(), rows: vec![] }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.head.len(), "{cells:?}");
        self.rows.push(cells);
    }

    /// Without the columns in which nobody has a number.
    pub(super) fn without_absent(mut self) -> Self {
        let is_there: Vec<bool> =
            (0..self.head.len()).map(|column| self.rows.iter().any(|row| row[column] != "-")).collect();
        let keep = |cells: &mut Vec<String>| {
            let mut is_there = is_there.iter();
            cells.retain(|_| is_there.next().is_some_and(|is_there| *is_there));
        };
        keep(&mut self.head);
        self.rows.iter_mut().for_each(keep);
        self
    }

    /// Aligned columns.
    pub(crate) fn text(&self) -> String {
        let widths = self.widths();
        let rows = std::iter::once(&self.head).chain(&self.rows);
        format!("{}\n{}", self.title, rows.map(|cells| line(cells, &widths)).collect::<String>())
    }

    pub(super) fn markdown(&self) -> String {
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = std::iter::once("---").chain(std::iter::repeat_n("--:", self.head.len() - 1));
        let rule: Vec<String> = rule.map(Into::into).collect();
        let rows: String = self.rows.iter().map(|cells| row(cells)).collect();
        format!("\n**{}**\n\n{}{}{rows}", self.title, row(&self.head), row(&rule))
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = vec![0; self.head.len()];
        for row in std::iter::once(&self.head).chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        text.push_str(&if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
    }
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new("small", &["who", "p50"]);
        table.row(vec!["floor".into(), "1".into()]);
        table.row(vec!["x".into(), "1000".into()]);
        table
    }

    #[test]
    fn numbers_stand_below_each_other() {
        assert_eq!(sample().text(), "small\nwho     p50\nfloor     1\nx      1000\n");
    }

    #[test]
    fn markdown_has_a_title_and_a_rule() {
        let expected = "\n**small**\n\n| who | p50 |\n| --- | --: |\n| floor | 1 |\n| x | 1000 |\n";
        assert_eq!(sample().markdown(), expected);
    }

    #[test]
    fn a_column_of_nothing_is_left_out() {
        let mut table = Table::new("t", &["who", "a", "b"]);
        table.row(vec!["x".into(), "-".into(), "1".into()]);
        table.row(vec!["y".into(), "-".into(), "-".into()]);
        let table = table.without_absent();
        assert_eq!((table.head, table.rows[1].clone()), (vec!["who".into(), "b".into()], vec!["y".into(), "-".into()]));
    }
}
