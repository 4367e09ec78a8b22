//! Every value in force and where it came from, written as a file that says the same without defaults.
//!
//! | module    | idea |
//! |-----------|------|
//! | `origin`  | where a value stands in the file, or why it is what it is |
//! | `service` | the rows of one service |
//! | `web`     | those of the dashboard |

use std::fmt::Write as _;
use std::path::Path;

use toml::Value;

use crate::units::show_duration;
use crate::{Config, Report, Surroundings, document, load_text};

mod origin;
mod service;
mod web;

use origin::Origins;

/// Comments begin here, where there is room.
const COMMENT_AT: usize = 44;

/// Reads the file at `path`, and writes down every value that is in force, each with where it came from. What is
/// written is a file itself, and means the same as the one that was read, whatever the defaults are.
pub fn print(path: &Path, surroundings: &Surroundings) -> Result<String, Report> {
    let text = crate::load::read_text(path)?;
    let config = load_text(&text, path, surroundings)?;
    let document = document::parse(&text, &mut Vec::new()).expect("it was read a moment ago");
    let origins = Origins::new(&text, &document, path);
    Ok(written(&config, &origins, surroundings))
}

fn written(config: &Config, origins: &Origins<'_>, surroundings: &Surroundings) -> String {
    let mut page = Page { text: format!("# In force, as {} says it.\n", config.source.display()), origins };
    page.row("run_dir", &path(&config.run_dir), &origins.of_run_dir(surroundings));
    page.own("namespace", &[], &text(config.namespace.as_str()));
    page.own("drain", &[], &text(show_duration(config.drain)));
    page.table("log");
    match &config.log.dir {
        Some(dir) => page.own("dir", &["log"], &path(dir)),
        None => page.text += "# dir: none, so that lines go to standard error\n",
    }
    page.own("size", &["log"], &text(config.log.size));
    page.own("age", &["log"], &text(show_duration(config.log.age)));
    page.own("keep", &["log"], &i64::from(config.log.keep).into());
    page.own("level", &["log"], &text(config.log.level.as_str()));
    web::write(&mut page, config.web.as_ref());
    for service in &config.services {
        service::write(&mut page, service);
    }
    page.text
}

/// What is being written.
struct Page<'a> {
    text: String,
    origins: &'a Origins<'a>,
}

impl Page<'_> {
    fn table(&mut self, name: &str) {
        write!(self.text, "\n[{name}]\n").expect("a text takes everything");
    }

    fn row(&mut self, key: &str, value: &Value, origin: &str) {
        let said = format!("{key} = {value}");
        writeln!(self.text, "{said:<COMMENT_AT$}  # {origin}").expect("a text takes everything");
    }

    /// A value that stands in this table or nowhere.
    fn own(&mut self, key: &str, table: &[&str], value: &Value) {
        let origin = self.origins.of(&[[table, &[key]].concat()]);
        self.row(key, value, &origin);
    }
}

fn text(value: impl ToString) -> Value {
    Value::String(value.to_string())
}

fn path(path: &Path) -> Value {
    text(path.display())
}

fn list<T>(items: &[T], each: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(each).collect())
}
