//! One table, read key by key. It speaks up about keys that it does not know, and goes on.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::keys::Home;
use crate::leaf::wrong_type;
use crate::problem::{Complaint, Placed, Problem, Problems, Span};

/// A value and where it stands.
pub(crate) type Node<'d> = Spanned<DeValue<'d>>;

/// A table whose keys are all known.
pub(crate) struct Fields<'a, 'd> {
    table: &'a DeTable<'d>,
    /// Dotted path of the table, for messages; empty at the top.
    place: String,
}

impl<'a, 'd> Fields<'a, 'd> {
    /// Opens a table with the keys of `home`.
    pub(crate) fn open(table: &'a DeTable<'d>, place: &str, home: Home, problems: &mut Problems) -> Self {
        let fields = Self::free(table, place);
        for (key, value) in in_file_order(table) {
            if !home.keys().contains(&key.get_ref().as_ref()) {
                problems.push(fields.unknown(key.get_ref(), key.span(), value, home));
            }
        }
        fields
    }

    /// Opens a table whose keys are free.
    pub(crate) fn free(table: &'a DeTable<'d>, place: &str) -> Self {
        Self { table, place: place.to_owned() }
    }

    fn unknown(&self, key: &str, span: Span, value: &Node<'_>, home: Home) -> Problem {
        let problem = Problem::new(format!("unknown key `{}`", self.path(key)));
        if home == Home::File && looks_like_a_service(value) {
            return problem.at(span, format!("did you mean [service.{key}]?"));
        }
        let place = if self.place.is_empty() { "at the top of the file" } else { &format!("of {}", self.place) };
        problem.at(span, home.advice(key)).help(format!("keys {place}: {}", home.keys().join(", ")))
    }

    /// The dotted path of a key, for messages.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// Where a key stands, if it is there at all.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Whether an unknown key was probably meant to be one of these.
    pub(crate) fn has_slip_of(&self, home: Home, keys: &[&str]) -> bool {
        let meant = self.table.keys().filter_map(|key| home.meant(key.get_ref()));
        meant.into_iter().any(|meant| keys.contains(&meant))
    }

    /// The value of a key as written.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node<'d>> {
        self.table.get(key)
    }

    /// Reads one value. `None` if it is not there, or not right, which is then said.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        parse: impl Fn(&DeValue<'d>) -> Result<T, Complaint>,
        problems: &mut Problems,
    ) -> Option<Placed<T>> {
        read_node(self.node(key)?, &self.path(key), parse, problems)
    }

    /// Reads a list, each value for itself. Wrong ones are said and left out.
    pub(crate) fn list<T>(
        &self,
        key: &str,
        parse: impl Fn(&DeValue<'d>) -> Result<T, Complaint>,
        problems: &mut Problems,
    ) -> Option<Vec<Placed<T>>> {
        let node = self.node(key)?;
        let path = self.path(key);
        let Some(values) = node.get_ref().as_array() else {
            problems.push(not_a_list(node).about(&path, node.span()));
            return None;
        };
        let read = values.iter().filter_map(|value| read_node(value, &path, &parse, problems));
        Some(read.collect())
    }

    /// Reads a table whose keys are free, each value for itself, in the order of the file.
    pub(crate) fn entries<T>(
        &self,
        key: &str,
        parse: impl Fn(&str, &DeValue<'d>) -> Result<T, Complaint>,
        problems: &mut Problems,
    ) -> Option<Vec<T>> {
        let table = self.subtable(key, problems)?;
        let path = self.path(key);
        let mut read = Vec::new();
        for (name, value) in in_file_order(table) {
            let name = name.get_ref();
            let parse = |value: &DeValue<'d>| parse(name, value);
            read.extend(read_node(value, &format!("{path}.{name}"), parse, problems));
        }
        Some(read.into_iter().map(|placed| placed.value).collect())
    }

    /// Opens the table under `key`, if there is one.
    pub(crate) fn inner(&self, key: &str, home: Home, problems: &mut Problems) -> Option<Self> {
        let table = self.subtable(key, problems)?;
        Some(Self::open(table, &self.path(key), home, problems))
    }

    /// The table under `key`, if there is one.
    pub(crate) fn subtable(&self, key: &str, problems: &mut Problems) -> Option<&'a DeTable<'d>> {
        let node = self.node(key)?;
        let table = node.get_ref().as_table();
        if table.is_none() {
            let complaint = wrong_type(node.get_ref(), "a table");
            problems.push(complaint.about(&self.path(key), node.span()));
        }
        table
    }
}

/// The entries of a table as they stand in the file; toml sorts them by name.
pub(crate) fn in_file_order<'a, 'd>(
    table: &'a DeTable<'d>,
) -> Vec<(&'a Spanned<std::borrow::Cow<'d, str>>, &'a Node<'d>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn read_node<'d, T>(
    node: &Node<'d>,
    path: &str,
    parse: impl Fn(&DeValue<'d>) -> Result<T, Complaint>,
    problems: &mut Problems,
) -> Option<Placed<T>> {
    match parse(node.get_ref()) {
        Ok(value) => Some(Placed { value, span: node.span() }),
        Err(complaint) => {
            problems.push(complaint.about(path, node.span()));
            None
        }
    }
}

fn not_a_list(node: &Node<'_>) -> Complaint {
    let instead = node.get_ref().as_str().map(|text| format!("[{text:?}]"));
    wrong_type(node.get_ref(), "a list").meant(instead)
}

/// Whether `[NAME]` was probably meant to be `[service.NAME]`.
fn looks_like_a_service(value: &Node<'_>) -> bool {
    let said =
        |table: &DeTable<'_>| table.iter().any(|(key, _)| Home::Service.keys().contains(&key.get_ref().as_ref()));
    value.get_ref().as_table().is_some_and(said)
}
