//! All mistakes at once, drawn the way rustc draws them.

use std::fmt;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};

use crate::problem::{Problem, Problems};

/// Why a file was refused: every mistake in it. Print it with `Display`, or in colour with [`Report::styled`].
#[derive(Clone, Debug)]
pub struct Report {
    /// The path as the user wrote it.
    path: String,
    text: String,
    problems: Problems,
}

impl Report {
    pub(crate) fn new(path: &Path, text: &str, mut problems: Problems) -> Self {
        problems.sort_by_key(Problem::start);
        Self { path: path.display().to_string(), text: text.to_owned(), problems }
    }

    /// How many mistakes there are; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// The report with colours, for a terminal.
    #[must_use]
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut parts: Vec<String> =
            self.problems.iter().map(|problem| renderer.render(&[self.group(problem)])).collect();
        let mistakes = if self.count() == 1 { "1 mistake" } else { &format!("{} mistakes", self.count()) };
        let end = Level::ERROR.primary_title(format!("{mistakes} in {}: nothing was changed", self.path));
        parts.push(renderer.render(&[Group::with_title(end)]));
        parts.join("\n\n")
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let title = Level::ERROR.primary_title(&problem.title);
        let group = Group::with_title(title);
        let group = if problem.marks.is_empty() { group } else { group.element(self.snippet(problem)) };
        let help = |help: &String| Level::HELP.message(normalize_untrusted_str(help));
        group.elements(problem.help.iter().map(help))
    }

    fn snippet<'a>(&'a self, problem: &'a Problem) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let annotations = problem.marks.iter().enumerate().map(|(index, mark)| {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            kind.span(mark.span.clone()).label(normalize_untrusted_str(&mark.label))
        });
        Snippet::source(&self.text).path(&self.path).annotations(annotations)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Report {}
