//! `service.ini` of the Python project becomes a `service.toml`, key by key, and what has no counterpart a remark.
//!
//! | module    | idea |
//! |-----------|------|
//! | `seed`    | every key that the Python project knew, and its sections, as values |
//! | `service` | one section becomes one `[service.NAME]` |
//!
//! Pure: text in, text out. The result is commented where something is left to do, and `check` accepts it as soon as
//! the programs that it names are there.

use std::net::SocketAddr;

use configparser::ini::{Ini, IniDefault};

mod seed;
mod service;

use seed::{Section, Seed};

/// What became of a `service.ini`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The `service.toml`.
    pub toml: String,
    /// What somebody should know or do, in the order of the file: each is one sentence and names its section and key.
    pub remarks: Vec<String>,
}

/// Why there is nothing to import.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a service.ini: {0}")]
pub struct NotIni(String);

/// Imports a `service.ini`. A value that the Python project would have refused is left out, with a remark.
///
/// # Errors
/// [`NotIni`] when the text has no sections, or is no INI at all.
pub fn import(ini: &str) -> Result<Imported, NotIni> {
    let seed = Seed::read(&sections(ini)?);
    if seed.services.is_empty() {
        return Err(NotIni("there is no section for a service in it, such as [EchoServer]".to_owned()));
    }
    let mut remarks = Vec::new();
    let mut toml = String::from(
        "# Made from a service.ini of the Python project. What has no counterpart here is told in comments. Every key\n\
         # and its meaning: `speedysvc-engine init`. What is in force: `speedysvc-engine check --print`.\n",
    );
    toml += &log(&seed, &mut remarks);
    let mut awaited = Vec::new();
    for section in &seed.services {
        let made = service::translate(section, &seed, &awaited);
        toml += &made.toml;
        remarks.extend(made.remarks);
        if made.is_awaited {
            awaited.push(made.name);
        }
    }
    toml += &web(&seed, &mut remarks);
    Ok(Imported { toml, remarks })
}

/// Where the parser puts keys that stand before all sections. No section can be called so.
const NO_SECTION: &str = "]";

/// As the Python project read it: `#` begins a comment only at the start of a line, letters keep their case, and a
/// line is never continued.
fn sections(text: &str) -> Result<Vec<Section>, NotIni> {
    let mut rules = IniDefault::default();
    rules.case_sensitive = true;
    rules.default_section = NO_SECTION.to_owned();
    rules.comment_symbols = vec!['#', ';'];
    rules.inline_comment_symbols = Some(Vec::new());
    rules.delimiters = vec!['='];
    rules.multiline = false;
    let mut ini = Ini::new_from_defaults(rules);
    let read = ini.read(text.to_owned()).map_err(NotIni)?;
    if read.contains_key(NO_SECTION) {
        return Err(NotIni("a key stands before the first [section]".to_owned()));
    }
    let sections = read.into_iter().map(|(name, keys)| {
        let keys = keys.into_iter().map(|(key, value)| (key, value.unwrap_or_default()));
        Section { name, keys: keys.collect() }
    });
    Ok(sections.collect())
}

/// The Python project had a folder for each service; here there is one for all of them.
fn log(seed: &Seed, remarks: &mut Vec<String>) -> String {
    let said: Vec<&str> = seed.services.iter().filter_map(|section| seed.value(section, "log_dir")).collect();
    let Some(first) = said.first() else {
        let text = "# The Python project wrote to the folder shmrpc_logs of the system's temporary directory. Without\n\
                    # this key lines go to standard error.\n#[log]\n#dir = \"log\"\n";
        return format!("\n{text}");
    };
    if said.iter().any(|other| other != first) || said.len() < seed.services.len() {
        remarks.push(format!(
            "log_dir: all services write to one folder here, each to a file of its own: {first:?} is taken for all"
        ));
    }
    format!("\n[log]\ndir = {}\n", quoted(first))
}

fn web(seed: &Seed, remarks: &mut Vec<String>) -> String {
    if seed.web.is_empty() {
        return String::new();
    }
    let value =
        |name: &str, default| seed.web.iter().find(|(key, _)| key == name).map_or(default, |(_, value)| value.as_str());
    let (host, port) = (value("host", "127.0.0.1"), value("port", "5155"));
    let number = if host == "localhost" { "127.0.0.1" } else { host };
    let address = format!("{number}:{port}").parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    let text = match address {
        Some(address) => format!("\n[web]\nlisten = \"{address}\"\n"),
        None => {
            remarks.push(format!(
                "[web monitor] (host = {host}, port = {port}): beyond this machine the dashboard needs `token_file` \
                 and `insecure = true` in [web]; it is left at 127.0.0.1:5155"
            ));
            String::new()
        }
    };
    for (key, _) in seed.web.iter().filter(|(key, _)| !matches!(key.as_str(), "host" | "port")) {
        remarks.push(format!("[web monitor] {key}: the Python project knew no such key"));
    }
    text
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests;
