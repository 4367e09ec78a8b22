//! A contender's server as it runs.

use std::time::Duration;

use anyhow::{Context, Result};

use super::helper::Helper;
use super::interrupt::Interrupt;
use crate::contender::{Contender, Shape};

/// How long a server may take until it is ready: our engine starts a supervisor and a worker, on a busy machine.
const STARTS: Duration = Duration::from_secs(20);

/// A server that is ready. Dropping it ends it.
pub(crate) struct Server {
    /// Where clients find it.
    pub(crate) address: String,
    /// The processes that it consists of.
    pub(crate) processes: Vec<u32>,
    _helper: Helper,
}

impl Server {
    /// Starts a contender's server on a processor, or on any.
    pub(crate) fn start(
        contender: &dyn Contender,
        shape: Shape,
        cpu: Option<usize>,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut arguments: Vec<String> = vec!["serve".into(), contender.name().into()];
        arguments.extend(shape_arguments(shape));
        arguments.extend(cpu_arguments(cpu));
        let mut helper = Helper::start(contender.program(), &arguments)?;
        let line = helper.line(STARTS, interrupt).with_context(|| format!("the server of {}", contender.name()))?;
        let (address, processes) = parse(&line).with_context(|| format!("the server said `{line}`"))?;
        Ok(Self { address, processes, _helper: helper })
    }
}

/// What both kinds of helper are told of a call's shape.
pub(crate) fn shape_arguments(shape: Shape) -> Vec<String> {
    let Shape { size, depth, connections } = shape;
    let numbers = [("--size", size), ("--depth", depth), ("--connections", connections)];
    numbers.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect()
}

/// Where a helper is pinned.
pub(crate) fn cpu_arguments(cpu: Option<usize>) -> Vec<String> {
    cpu.map_or(vec![], |cpu| vec!["--cpu".into(), cpu.to_string()])
}

fn parse(line: &str) -> Option<(String, Vec<u32>)> {
    let (address, processes) = line.strip_prefix("ready ")?.rsplit_once(' ')?;
    let processes: Result<Vec<u32>, _> = processes.split(',').map(str::parse).collect();
    Some((address.to_owned(), processes.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_has_address_and_processes() {
        assert_eq!(parse("ready shm:///tmp/a b/x 12,13"), Some(("shm:///tmp/a b/x".into(), vec![12, 13])));
        assert_eq!(parse("ready nowhere"), None);
        assert_eq!(parse("read x 1"), None);
    }
}
