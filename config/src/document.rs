//! TOML's own rules: syntax, and things that are set twice.

use toml::de::{DeTable, Error};

use crate::problem::{Problem, Problems, Span};

/// Parses the text. `None` when it is so broken that more about its content would be guesswork; things that
/// are set twice are not, so what follows them is read all the same.
pub(crate) fn parse<'d>(text: &'d str, problems: &mut Problems) -> Option<DeTable<'d>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let (twice, broken): (Vec<_>, Vec<_>) = errors.into_iter().partition(is_duplicate);
    let twice: Vec<Span> = twice.iter().filter_map(Error::span).collect();
    for span in &twice {
        if !follows_from_its_table(text, span, &twice) {
            problems.push(said_twice(text, span));
        }
    }
    let mut broken: Problems = broken.iter().map(|error| syntax(text, error)).collect();
    broken.sort_by_key(Problem::start);
    if let Some(last) = broken.pop() {
        problems.extend(broken);
        problems.push(last.help("keys and values are checked once all of the file is TOML"));
        return None;
    }
    Some(document.into_inner())
}

fn is_duplicate(error: &Error) -> bool {
    error.message() == "duplicate key" && error.span().is_some()
}

fn syntax(text: &str, error: &Error) -> Problem {
    let span = error.span().unwrap_or(text.len()..text.len());
    let line = line_of(text, span.start);
    let (before, after) = (&text[line.start..span.start], &text[span.start..line.end]);
    if before.trim_end().ends_with('=') {
        let value = "a value: text in quotes, a number, a [list] or a { table }";
        if after.trim().is_empty() || after.starts_with('#') {
            return Problem::new("syntax: a key without a value").at(span, format!("expected {value}"));
        }
        if after.starts_with(|c: char| c.is_alphabetic() || "/.~".contains(c)) {
            return Problem::new("syntax: text without quotes")
                .at(span, format!("expected {value}"))
                .help("did you mean `\"...\"`?".replace("...", word(after)));
        }
    }
    match error.message().split_once(", expected ") {
        Some((title, expected)) => Problem::new(format!("syntax: {title}")).at(span, format!("expected {expected}")),
        None => Problem::new(format!("syntax: {}", error.message())).at(span, "this is not TOML"),
    }
}

/// What was meant as a value, up to what can only come after one.
fn word(text: &str) -> &str {
    text.split([',', '}', ']', '#', '"']).next().unwrap_or_default().trim()
}

fn said_twice(text: &str, span: &Span) -> Problem {
    let line = &text[line_of(text, span.start)];
    let problem = match header(line) {
        Some(header) => Problem::new(format!("the table [{header}] is there twice"))
            .at(span.clone(), "here again")
            .help("give one of them another name, or make one table of both"),
        None => Problem::new(format!("`{}` is set twice", &text[span.clone()]))
            .at(span.clone(), "set again here")
            .help("remove one of them"),
    };
    match first_place(text, span) {
        Some(first) => problem.at(first, "first here"),
        None => problem,
    }
}

/// The keys of a table that is there twice collide as well, but only the table is the mistake.
fn follows_from_its_table(text: &str, span: &Span, twice: &[Span]) -> bool {
    if header(&text[line_of(text, span.start)]).is_some() {
        return false;
    }
    let table = lines_before(text, span.start).find(|line| header(&text[line.clone()]).is_some());
    table.is_some_and(|table| twice.iter().any(|other| table.contains(&other.start)))
}

/// Where the table or the key stood first; toml does not say. Looks at lines, so it may find nothing.
fn first_place(text: &str, span: &Span) -> Option<Span> {
    let line = line_of(text, span.start);
    if let Some(again) = header(&text[line.clone()]) {
        let same = |line: &Span| header(&text[line.clone()]) == Some(again);
        return lines_before(text, span.start).filter(same).last().map(|line| trimmed(text, line));
    }
    let key = &text[span.clone()];
    let starts_its_line = text[line.start..span.start].trim().is_empty();
    lines_before(text, span.start)
        .take_while(|line| starts_its_line && header(&text[line.clone()]).is_none())
        .find_map(|line| key_at(text, line, key))
}

fn key_at(text: &str, line: Span, key: &str) -> Option<Span> {
    let line = trimmed(text, line);
    let rest = text[line.clone()].strip_prefix(key)?;
    rest.trim_start().starts_with(['=', '.']).then(|| line.start..line.start + key.len())
}

/// The name in `[name]`, if the line is a table's header.
fn header(line: &str) -> Option<&str> {
    let (name, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    Some(name.trim())
}

fn trimmed(text: &str, line: Span) -> Span {
    let content = text[line.clone()].trim_start();
    let start = line.end - content.len();
    start..start + content.trim_end().len()
}

/// The line around a place, without its end.
fn line_of(text: &str, at: usize) -> Span {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    start..end
}

/// The lines before the one around a place, nearest first.
fn lines_before(text: &str, at: usize) -> impl Iterator<Item = Span> {
    let mut start = line_of(text, at).start;
    std::iter::from_fn(move || {
        let line = line_of(text, start.checked_sub(1)?);
        start = line.start;
        Some(line)
    })
}
