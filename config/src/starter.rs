//! A commented file to start from.

/// The file that is shipped, in which every key stands with its default.
const SHIPPED: &str = include_str!("../service.toml");

/// Where the service of the examples begins, whose program nobody else has.
const EXAMPLE: &str = "\n[service.thumbnail]\n";

/// A `service.toml` to start from: the shipped one, in which only the built-in service is started. A second one is
/// there as a comment.
#[must_use]
pub fn starter() -> String {
    let (before, example) = SHIPPED.split_once(EXAMPLE).expect("the shipped file ends with the example's service");
    let mut text = format!("{before}\n# A service of your own, as a program: take the `# ` from these lines.\n");
    for line in format!("[service.thumbnail]\n{example}").lines() {
        let marked = if line.is_empty() || line.starts_with('#') { line.to_owned() } else { format!("# {line}") };
        text += &format!("{marked}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Surroundings, load_text};

    #[test]
    fn it_is_accepted_where_nothing_is_installed() {
        let around = Surroundings { is_root: true, ..Surroundings::default() };
        let config = load_text(&starter(), Path::new("/x/service.toml"), &around);
        let config = config.unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(config.services.len(), 1);
        assert_eq!(config.services[0].name.as_str(), "echo");
    }

    #[test]
    fn every_line_of_the_shipped_file_is_in_it() {
        let starter = starter();
        for line in SHIPPED.lines() {
            assert!(starter.lines().any(|ours| ours == line || ours.strip_prefix("# ") == Some(line)), "{line}");
        }
    }
}
