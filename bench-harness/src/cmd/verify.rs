//! `verify`: does every contender answer right? What continuous integration runs; nothing is timed.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::arguments::Verify;
use crate::contender::{self, Contender, Does, Group, Shape};
use crate::measure::job::Length;
use crate::measure::task::Task;
use crate::run::interrupt::{self, Interrupt};
use crate::run::real::Real;

/// Shapes at the edges: stamps only, one line and full, one byte more than pages and pipes are long, and large.
const SHAPES: [Shape; 11] = [
    Shape::new(16, 1),
    Shape::new(32, 1),
    Shape::new(56, 1),
    Shape::new(1024, 1),
    Shape::new(4097, 1),
    Shape::new(65_536, 1),
    Shape::new(1 << 20, 1),
    Shape::new(32, 64),
    Shape::new(1000, 7),
    Shape { size: 64, depth: 1, connections: 16 },
    Shape { size: 1000, depth: 7, connections: 3 },
];
/// Calls for each shape; a ring of 64 slots goes round more than once.
const CALLS: u64 = 100;
/// Calls of a large one: JSON of a debug build takes a tenth of a second for each.
const CALLS_LARGE: u64 = 20;
const LARGE: usize = 1 << 20;

pub(crate) fn run(what: &Verify) -> Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let chosen: Vec<&dyn Contender> = if what.peers.is_empty() {
        contender::ALL.iter().copied().filter(|contender| contender.does(Does::Echo)).collect()
    } else {
        what.peers.iter().map(|name| contender::find(name)).collect::<Result<_>>()?
    };
    let mut wrong = 0;
    for contender in chosen {
        // Peers are built by those who want them; whoever names one does.
        if let (Group::Peer, true, Some(why)) = (contender.group(), what.peers.is_empty(), contender.missing()) {
            println!("absent  {:<16} {why}", contender.name());
            continue;
        }
        match verify(contender, &interrupt) {
            Ok(shapes) => println!("ok      {:<16} {shapes}", contender.name()),
            Err(_) if interrupt.has_come() => return Ok(ExitCode::from(interrupt::CODE)),
            Err(error) => {
                println!("FAILED  {:<16} {error:#}", contender.name());
                wrong += 1;
            }
        }
    }
    if wrong > 0 {
        bail!("{wrong} contenders do not answer right, or not at all");
    }
    Ok(ExitCode::SUCCESS)
}

/// The shapes that it takes and answered.
fn verify(contender: &dyn Contender, interrupt: &Interrupt) -> Result<String> {
    if let Some(missing) = contender.missing() {
        bail!(missing);
    }
    let mut answered = vec![];
    for shape in SHAPES.into_iter().filter(|shape| contender.takes(*shape)) {
        let calls = if shape.size < LARGE { CALLS } else { CALLS_LARGE };
        let real = Real { cpus: None, own_cores: None, length: Length::Checked(calls), interrupt: interrupt.clone() };
        let outcome =
            real.row(contender, shape, Task::default()).map_err(|error| error.context(format!("{shape} bytes")))?;
        if outcome.checked < calls {
            bail!("{shape} bytes: only {} of {calls} replies were checked", outcome.checked);
        }
        answered.push(shape.to_string());
    }
    if answered.is_empty() {
        bail!("it takes none of the shapes");
    }
    Ok(format!("{} bytes", answered.join(", ")))
}
