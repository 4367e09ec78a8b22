//! Some services of a file.

use crate::suggest::closest;
use crate::{Config, ServiceName};

/// A name that is no service of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no service `{name}` in {file}; {hint}")]
pub struct NoSuchService {
    name: String,
    file: String,
    hint: String,
}

impl Config {
    /// Leaves out every service but those named, and those that they come `after`, by any way: they would not get
    /// ready without them. Returns the names of those that were left out.
    ///
    /// # Errors
    /// When a name is not in the file.
    pub fn only(&mut self, names: &[String]) -> Result<Vec<ServiceName>, NoSuchService> {
        let mut wanted: Vec<ServiceName> = Vec::new();
        let mut open: Vec<String> = names.to_vec();
        while let Some(name) = open.pop() {
            let service = self.services.iter().find(|service| service.name.as_str() == name);
            let service = service.ok_or_else(|| self.no_such(&name))?;
            if !wanted.contains(&service.name) {
                wanted.push(service.name.clone());
                open.extend(service.after.iter().map(ToString::to_string));
            }
        }
        let left_out = self.services.extract_if(.., |service| !wanted.contains(&service.name));
        Ok(left_out.map(|service| service.name).collect())
    }

    fn no_such(&self, name: &str) -> NoSuchService {
        let all: Vec<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
        let hint = match closest(name, all.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("its services: {}", all.join(", ")),
        };
        NoSuchService { name: name.to_owned(), file: self.source.display().to_string(), hint }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Surroundings, load_text};

    fn config() -> Config {
        let service = |name: &str, after: &str| format!("[service.{name}]\nbuiltin = \"echo\"\nafter = [{after}]\n");
        let text = [service("db", ""), service("index", "\"db\""), service("web", "\"index\""), service("log", "")];
        let around = Surroundings { is_root: true, ..Surroundings::default() };
        load_text(&text.concat(), Path::new("/x/service.toml"), &around).unwrap()
    }

    fn left(names: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut config = config();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let out = config.only(&names).unwrap();
        let texts = |names: Vec<ServiceName>| names.iter().map(ToString::to_string).collect();
        (texts(config.services.into_iter().map(|service| service.name).collect()), texts(out))
    }

    #[test]
    fn what_a_service_comes_after_is_started_too() {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(left(&["web"]), (all(&["db", "index", "web"]), all(&["log"])));
        assert_eq!(left(&["log", "db"]), (all(&["db", "log"]), all(&["index", "web"])));
        assert_eq!(left(&["log", "web", "log"]).1, all(&[]));
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_the_likeliest() {
        let wrong = |name: &str| config().only(&[name.to_owned()]).unwrap_err().to_string();
        assert_eq!(wrong("idnex"), "there is no service `idnex` in /x/service.toml; did you mean `index`?");
        assert!(wrong("cache").ends_with("its services: db, index, web, log"));
    }
}
