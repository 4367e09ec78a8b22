//! The scenarios: data, in `experiments/*.toml`, each with what it is, why, what is expected and what it cannot show.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::contender::{Contender, Does, Shape};
use crate::measure::task::{Body, Load, Task};

/// In the order in which they run. They are part of the program, so that it works from any folder.
const FILES: &[(&str, &str)] = &[
    ("round-trip-32b.toml", include_str!("../experiments/round-trip-32b.toml")),
    ("round-trip-1kib.toml", include_str!("../experiments/round-trip-1kib.toml")),
    ("round-trip-1kib-two-areas.toml", include_str!("../experiments/round-trip-1kib-two-areas.toml")),
    ("round-trip-64kib.toml", include_str!("../experiments/round-trip-64kib.toml")),
    ("round-trip-1mib.toml", include_str!("../experiments/round-trip-1mib.toml")),
    ("in-flight-32-32b.toml", include_str!("../experiments/in-flight-32-32b.toml")),
    ("in-flight-64-32b.toml", include_str!("../experiments/in-flight-64-32b.toml")),
    ("in-flight-1-64b.toml", include_str!("../experiments/in-flight-1-64b.toml")),
    ("in-flight-32-64b.toml", include_str!("../experiments/in-flight-32-64b.toml")),
    ("in-flight-64-64b.toml", include_str!("../experiments/in-flight-64-64b.toml")),
    ("connections-16-32b.toml", include_str!("../experiments/connections-16-32b.toml")),
    ("connections-32-32b.toml", include_str!("../experiments/connections-32-32b.toml")),
    ("connections-256-32b.toml", include_str!("../experiments/connections-256-32b.toml")),
    ("connections-1024-32b.toml", include_str!("../experiments/connections-1024-32b.toml")),
    ("active-64-links.toml", include_str!("../experiments/active-64-links.toml")),
    ("active-64-connections.toml", include_str!("../experiments/active-64-connections.toml")),
    ("flags-1-64b.toml", include_str!("../experiments/flags-1-64b.toml")),
    ("flags-64-64b.toml", include_str!("../experiments/flags-64-64b.toml")),
    ("flags-64-connections.toml", include_str!("../experiments/flags-64-connections.toml")),
    ("threads-4-32b.toml", include_str!("../experiments/threads-4-32b.toml")),
    ("asleep-100-per-s.toml", include_str!("../experiments/asleep-100-per-s.toml")),
    ("paced-1000-per-s.toml", include_str!("../experiments/paced-1000-per-s.toml")),
    ("idle-0.toml", include_str!("../experiments/idle-0.toml")),
    ("idle-1000.toml", include_str!("../experiments/idle-1000.toml")),
    ("idle-4000.toml", include_str!("../experiments/idle-4000.toml")),
    ("idle-10000.toml", include_str!("../experiments/idle-10000.toml")),
    ("queue-1us.toml", include_str!("../experiments/queue-1us.toml")),
    ("queue-1-in-100-5ms.toml", include_str!("../experiments/queue-1-in-100-5ms.toml")),
    ("queue-exponential-2ms.toml", include_str!("../experiments/queue-exponential-2ms.toml")),
    ("queue-books-50k.toml", include_str!("../experiments/queue-books-50k.toml")),
    ("queue-one-home.toml", include_str!("../experiments/queue-one-home.toml")),
    ("queue-short.toml", include_str!("../experiments/queue-short.toml")),
    ("queue-short-beside-long.toml", include_str!("../experiments/queue-short-beside-long.toml")),
    ("overload-50.toml", include_str!("../experiments/overload-50.toml")),
    ("overload-80.toml", include_str!("../experiments/overload-80.toml")),
    ("overload-100.toml", include_str!("../experiments/overload-100.toml")),
    ("overload-200.toml", include_str!("../experiments/overload-200.toml")),
    ("overload-400.toml", include_str!("../experiments/overload-400.toml")),
    ("compress-text-64kib.toml", include_str!("../experiments/compress-text-64kib.toml")),
    ("compress-noise-64kib.toml", include_str!("../experiments/compress-noise-64kib.toml")),
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
    /// What clients do.
    #[serde(default)]
    pub(crate) load: Load,
    /// What bodies are made of.
    #[serde(default)]
    pub(crate) body: Body,
    /// The measured span of each row, in milliseconds, in place of the campaign's.
    #[serde(default)]
    pub(crate) span_ms: Option<u64>,
    /// The floor that others are compared to; none where there is nothing to compare by a ratio.
    #[serde(default)]
    pub(crate) floor: String,
    /// The plain socket, or the plain way, that others are compared to; may be none.
    #[serde(default)]
    pub(crate) plain: String,
    /// Only these take part; without them, all who can.
    #[serde(default)]
    pub(crate) contenders: Vec<String>,
    /// Those who will take part, and do not exist yet.
    #[serde(default)]
    pub(crate) not_yet: Vec<String>,
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

    /// What clients do in a row.
    pub(crate) fn task(&self) -> Task {
        Task { load: self.load, body: self.body, span_ms: self.span_ms }
    }

    /// Whether a contender takes part.
    pub(crate) fn is_for(&self, contender: &dyn Contender) -> bool {
        let can = match self.load {
            Load::Closed | Load::Paced { .. } => contender.does(Does::Echo) && contender.takes(self.shape()),
            Load::Idle => contender.does(Does::Idle),
            Load::Links => contender.does(Does::Links) && contender.takes(self.shape()),
            Load::Ladder => contender.does(Does::Ladder) && contender.takes(self.shape()),
            Load::Threads => contender.does(Does::Threads) && contender.takes(self.shape()),
            Load::Queue { .. } | Load::Overload { .. } => contender.does(Does::Work),
        };
        can && (self.contenders.is_empty() || self.contenders.iter().any(|name| name == contender.name()))
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
            for name in [&experiment.floor, &experiment.plain].into_iter().filter(|name| !name.is_empty()) {
                assert!(experiment.is_for(contender::find(name).unwrap()), "{name} in {file}");
            }
            for name in &experiment.contenders {
                assert!(experiment.is_for(contender::find(name).unwrap()), "{name} in {file}");
            }
            for name in &experiment.not_yet {
                assert!(contender::NOT_YET.iter().any(|(planned, _)| planned == name), "{name} in {file}");
            }
            assert!(contender::ALL.iter().any(|contender| experiment.is_for(*contender)), "nobody in {file}");
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
