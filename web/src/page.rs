//! What a page shows, as values: HTML, live updates and tests are made from the same ones.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Serialize;

/// How a text is meant; a colour, and never only a colour.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Somebody should look.
    Warn,
    /// It is broken.
    Bad,
    /// Nothing is going on.
    Quiet,
}

impl Tone {
    /// The class of its elements.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

/// One cell of a table, or one figure.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
    /// What it is sorted by where that is not its text.
    pub(crate) sort: Option<f64>,
    /// Where it leads.
    pub(crate) link: Option<String>,
    /// More, for whoever points at it.
    pub(crate) more: Option<String>,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(crate) fn number(text: impl Into<String>, sort: f64) -> Self {
        let tone = if sort == 0.0 { Tone::Quiet } else { Tone::Plain };
        Self { text: text.into(), sort: Some(sort), tone, ..Self::default() }
    }

    /// A time that may be none.
    pub(crate) fn time(ns: Option<u64>) -> Self {
        let sort = ns.map_or(-1.0, crate::words::as_float);
        let tone = if ns.is_none() { Tone::Quiet } else { Tone::Plain };
        Self { text: crate::words::duration_or_dash(ns), sort: Some(sort), tone, ..Self::default() }
    }

    pub(crate) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    pub(crate) fn link(self, to: impl Into<String>) -> Self {
        Self { link: Some(to.into()), ..self }
    }

    pub(crate) fn more(self, more: impl Into<String>) -> Self {
        Self { more: Some(more.into()).filter(|more: &String| !more.is_empty()), ..self }
    }
}

/// The head of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// What it is, in a sentence.
    pub(crate) what: &'static str,
    /// Right-aligned, largest first.
    pub(crate) is_number: bool,
    /// Left out where there is little room.
    pub(crate) is_minor: bool,
}

impl Column {
    pub(crate) const fn text(name: &'static str, what: &'static str) -> Self {
        Self { name, what, is_number: false, is_minor: false }
    }

    pub(crate) const fn number(name: &'static str, what: &'static str) -> Self {
        Self { name, what, is_number: true, is_minor: false }
    }

    pub(crate) const fn minor(self) -> Self {
        Self { is_minor: true, ..self }
    }

    pub(crate) fn class(&self) -> &'static str {
        match (self.is_number, self.is_minor) {
            (true, false) => "num",
            (true, true) => "num minor",
            (false, true) => "minor",
            (false, false) => "",
        }
    }
}

/// One row: a name that stays the same while the row does, its cells, and what can be done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) cells: Vec<Cell>,
    pub(crate) actions: Vec<Action>,
}

/// Something that a button does.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Action {
    pub(crate) verb: &'static str,
    /// Empty where it is about everything.
    pub(crate) service: String,
    /// What is asked before it is done; `None` where nothing is lost by it.
    pub(crate) ask: Option<String>,
    /// For `scale`: how many there are.
    pub(crate) workers: Option<u16>,
}

/// A table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) id: &'static str,
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// What is said when there is no row.
    pub(crate) empty: &'static str,
}

impl Table {
    pub(crate) fn has_actions(&self) -> bool {
        self.rows.iter().any(|row| !row.actions.is_empty())
    }

    /// What a cell is called in updates.
    pub(crate) fn key(&self, row: &Row, column: &usize) -> String {
        format!("{}/{}/{column}", self.id, row.id)
    }
}

/// A figure beside its name.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) cell: Cell,
}

impl Fact {
    pub(crate) fn new(name: &'static str, what: &'static str, cell: Cell) -> Self {
        Self { name, what, cell }
    }

    pub(crate) fn key(&self) -> String {
        format!("fact/{}", self.name)
    }
}

/// A place that a script draws into.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// Which of the script's drawings.
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
    /// What to ask the API for.
    pub(crate) source: String,
}

/// A choice above a page.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// Values, what they are called, and whether one is chosen; none for free text.
    pub(crate) options: Vec<(String, String, bool)>,
    /// The free text.
    pub(crate) text: String,
}

/// Text as it is.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) title: String,
    pub(crate) text: String,
}

/// The lines of the log that a page shows, and where those that come are.
#[derive(Clone, Debug)]
pub(crate) struct LogBox {
    pub(crate) lines: Vec<LogRow>,
    /// Of the event stream.
    pub(crate) source: String,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct LogRow {
    pub(crate) time: String,
    pub(crate) level: &'static str,
    pub(crate) origin: String,
    pub(crate) text: String,
}

/// A page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// Which entry of the navigation it belongs to.
    pub(crate) place: &'static str,
    /// Under the title, in a sentence.
    pub(crate) lead: String,
    /// What is wrong.
    pub(crate) troubles: Vec<String>,
    pub(crate) actions: Vec<Action>,
    pub(crate) choices: Vec<Choice>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) charts: Vec<Chart>,
    /// Names of files and where they are.
    pub(crate) downloads: Vec<(String, String)>,
    pub(crate) tables: Vec<Table>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) log: Option<LogBox>,
}

/// Every text that can change while the page is open, by its key.
pub(crate) type Cells = BTreeMap<String, (String, Tone, Option<f64>)>;

impl Page {
    pub(crate) fn cells(&self) -> Cells {
        let value = |cell: &Cell| (cell.text.clone(), cell.tone, cell.sort);
        let facts = self.facts.iter().map(|fact| (fact.key(), value(&fact.cell)));
        let of_table = |table: &Table| -> Vec<_> {
            let rows = table.rows.iter();
            let cells =
                rows.flat_map(|row| row.cells.iter().enumerate().map(move |(column, cell)| (row, column, cell)));
            cells.map(|(row, column, cell)| (table.key(row, &column), value(cell))).collect()
        };
        facts.chain(self.tables.iter().flat_map(of_table)).collect()
    }

    /// The same for two pages that have the same rows, buttons and troubles. Another shape must be fetched as a whole.
    pub(crate) fn shape(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.troubles.hash(&mut hasher);
        self.actions.hash(&mut hasher);
        for table in &self.tables {
            table.caption.hash(&mut hasher);
            let mut ids: Vec<_> = table.rows.iter().map(|row| (&row.id, &row.actions)).collect();
            ids.sort_by_key(|(id, _)| *id);
            ids.hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: &[(&str, &str)]) -> Page {
        let row =
            |(id, text): &(&str, &str)| Row { id: (*id).to_owned(), cells: vec![Cell::text(*text)], actions: vec![] };
        let table = Table { id: "t", rows: rows.iter().map(row).collect(), ..Table::default() };
        Page { tables: vec![table], ..Page::default() }
    }

    #[test]
    fn a_shape_is_about_rows_and_not_about_texts_or_order() {
        let shape = page(&[("a", "1"), ("b", "2")]).shape();
        assert_eq!(shape, page(&[("b", "3"), ("a", "4")]).shape());
        assert_ne!(shape, page(&[("a", "1")]).shape());
        let troubled = Page { troubles: vec!["x".to_owned()], ..page(&[("a", "1"), ("b", "2")]) };
        assert_ne!(shape, troubled.shape());
        assert_eq!(page(&[("a", "1")]).cells().keys().next().map(String::as_str), Some("t/a/0"));
    }
}
