//! One mistake: what it is, where it is, what to do about it.

use std::ops::Range;

/// A place in the text, in bytes.
pub(crate) type Span = Range<usize>;

/// A value and where it stands in the text.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// All mistakes found so far.
pub(crate) type Problems = Vec<Problem>;

/// A mistake in a file.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// What is wrong, in one line.
    pub(crate) title: String,
    /// Where. The first is the culprit, the others explain. None if the file could not be read.
    pub(crate) marks: Vec<Mark>,
    /// What to do next.
    pub(crate) help: Vec<String>,
}

/// A place and what there is to say about it.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) span: Span,
    pub(crate) label: String,
}

impl Problem {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), marks: Vec::new(), help: Vec::new() }
    }

    /// Adds a place; the first one is the culprit.
    pub(crate) fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.marks.push(Mark { span, label: label.into() });
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Where it is drawn: mistakes are shown in the order of the file.
    pub(crate) fn start(&self) -> usize {
        self.marks.first().map_or(0, |mark| mark.span.start)
    }
}

/// What a value has to say against itself, before it is known which key it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Complaint {
    /// Goes on after the key's name: "is not a duration".
    what: String,
    /// Stands under the value: "expected ...".
    label: String,
    help: Vec<String>,
}

impl Complaint {
    /// `what` goes on after the key's name, `expected` after the word "expected".
    pub(crate) fn new(what: impl Into<String>, expected: impl AsRef<str>) -> Self {
        Self { what: what.into(), label: format!("expected {}", expected.as_ref()), help: Vec::new() }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds "did you mean" with what may be pasted as it is.
    pub(crate) fn meant(self, instead: Option<String>) -> Self {
        match instead {
            Some(instead) => self.help(format!("did you mean `{instead}`?")),
            None => self,
        }
    }

    /// Names the key and the place.
    pub(crate) fn about(self, key: &str, span: Span) -> Problem {
        let mut problem = Problem::new(format!("`{key}` {}", self.what)).at(span, self.label);
        problem.help = self.help;
        problem
    }
}
