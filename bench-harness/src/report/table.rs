//! A table with headings between its rows, for terminals and for Markdown.

/// A row, or a heading over those that follow.
#[derive(Clone, Debug)]
enum Row {
    Heading(String),
    Cells(Vec<String>),
}

/// The first column is words, the others are numbers.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|name| (*name).to_owned()).collect(), rows: vec![] }
    }

    pub(super) fn heading(&mut self, text: String) {
        self.rows.push(Row::Heading(text));
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.head.len(), "{cells:?}");
        self.rows.push(Row::Cells(cells));
    }

    /// Aligned columns.
    pub(crate) fn text(&self) -> String {
        let widths = self.widths();
        let mut text = line(&self.head, &widths);
        for row in &self.rows {
            text.push_str(&match row {
                Row::Heading(heading) => format!("\n{heading}\n"),
                Row::Cells(cells) => line(cells, &widths),
            });
        }
        text
    }

    /// One Markdown table for each heading.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        for part in &self.rows {
            match part {
                Row::Heading(heading) => {
                    let rule = std::iter::once("---").chain(std::iter::repeat_n("--:", self.head.len() - 1));
                    let rule: Vec<String> = rule.map(Into::into).collect();
                    text.push_str(&format!("\n**{heading}**\n\n{}{}", row(&self.head), row(&rule)));
                }
                Row::Cells(cells) => text.push_str(&row(cells)),
            }
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let cells = self.rows.iter().filter_map(|row| match row {
            Row::Heading(_) => None,
            Row::Cells(cells) => Some(cells),
        });
        let mut widths = vec![0; self.head.len()];
        for row in std::iter::once(&self.head).chain(cells) {
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
        let mut table = Table::new(&["who", "p50"]);
        table.heading("small".into());
        table.row(vec!["floor".into(), "1".into()]);
        table.row(vec!["x".into(), "1000".into()]);
        table
    }

    #[test]
    fn numbers_stand_below_each_other() {
        assert_eq!(sample().text(), "who     p50\n\nsmall\nfloor     1\nx      1000\n");
    }

    #[test]
    fn markdown_has_a_table_for_each_heading() {
        let expected = "\n**small**\n\n| who | p50 |\n| --- | --: |\n| floor | 1 |\n| x | 1000 |\n";
        assert_eq!(sample().markdown(), expected);
    }
}
