//! The scenarios: data, in `experiments/*.toml`, each with what it is, why, what is expected and what it cannot show.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::contender::Shape;

/// In the order in which they run. They are part of the program, so that it works from any folder.
const FILES: &[(&str, &str)] = &[
    ("round-trip-32b.toml", include_str!("../experiments/round-trip-32b.toml")),
    ("round-trip-1kib.toml", include_str!("../experiments/round-trip-1kib.toml")),
    ("round-trip-64kib.toml", include_str!("../experiments/round-trip-64kib.toml")),
    ("round-trip-1mib.toml", include_str!("../experiments/round-trip-1mib.toml")),
    ("in-flight-64-32b.toml", include_str!("../experiments/in-flight-64-32b.toml")),
];

/// One scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Experiment {
    /// As on the command line.
    pub(crate) name: String,
    /// Bytes of each request, and of each reply.
    pub(crate) size: usize,
    /// Calls in flight on each connection.
    pub(crate) depth: usize,
    /// Connections of the one client process.
    #[serde(default = "one")]
    pub(crate) connections: usize,
    /// Whether it is part of `--quick`.
    pub(crate) quick: bool,
    /// The floor that others are compared to.
    pub(crate) floor: String,
    /// The plain socket that others are compared to.
    pub(crate) plain: String,
    /// What is done.
    pub(crate) what: String,
    /// What it is good for.
    pub(crate) why: String,
    /// Which answer is right, and which figures would surprise nobody.
    pub(crate) expected: String,
    /// What must not be concluded from it.
    pub(crate) cannot_show: String,
}

impl Experiment {
    /// What a call looks like.
    pub(crate) fn shape(&self) -> Shape {
        Shape { size: self.size, depth: self.depth, connections: self.connections }
    }
}

fn one() -> usize {
    1
}

/// All scenarios.
pub(crate) fn all() -> Result<Vec<Experiment>> {
    let parse = |(file, text): &(&str, &str)| toml::from_str(text).with_context(|| format!("experiments/{file}"));
    FILES.iter().map(parse).collect()
}

/// Those of these names; all without a name.
pub(crate) fn choose(names: &[String], is_quick: bool) -> Result<Vec<Experiment>> {
    let all = all()?;
    if let Some(wrong) = names.iter().find(|name| all.iter().all(|experiment| experiment.name != **name)) {
        let there: Vec<&str> = all.iter().map(|experiment| experiment.name.as_str()).collect();
        bail!("there is no scenario `{wrong}`; there are: {}", there.join(", "));
    }
    let is_chosen = |experiment: &Experiment| {
        if names.is_empty() { !is_quick || experiment.quick } else { names.contains(&experiment.name) }
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender;

    #[test]
    fn files_are_named_by_what_they_hold_and_name_contenders_that_fit() {
        for (experiment, (file, _)) in all().unwrap().iter().zip(FILES) {
            assert_eq!(format!("{}.toml", experiment.name), *file);
            for name in [&experiment.floor, &experiment.plain] {
                assert!(contender::find(name).unwrap().takes(experiment.shape()), "{name} in {file}");
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_there() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/experiments")).unwrap();
        assert_eq!(folder.count(), FILES.len());
    }

    #[test]
    fn scenarios_are_chosen_by_name() {
        assert_eq!(choose(&[], true).unwrap().len(), 2);
        assert_eq!(choose(&["round-trip-1mib".into()], true).unwrap()[0].size, 1 << 20);
        assert!(choose(&["x".into()], false).unwrap_err().to_string().contains("round-trip-32b"));
    }
}
