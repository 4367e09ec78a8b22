//! `serve`: the server's process of a row. Hidden: `compare` and `verify` start it.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::arguments::Serve;
use crate::contender;
use crate::measure::cpus;
use crate::run::parent::Parent;

pub(crate) fn run(what: &Serve) -> Result<ExitCode> {
    let Err(error) = serve(what);
    Parent.say(&format!("failed {error:#}").replace('\n', "; ")).context(error)?;
    Ok(ExitCode::FAILURE)
}

fn serve(what: &Serve) -> Result<std::convert::Infallible> {
    if let Some(cpu) = what.cpu {
        // Before anything is started: the engine and its worker inherit it.
        cpus::pin(cpu).with_context(|| format!("cannot stay on processor {cpu}"))?;
    }
    contender::find(&what.name)?.serve(what.shape.shape(), &Parent)
}
