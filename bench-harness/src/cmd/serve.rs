//! `serve`: the server's process of a row. Hidden: `compare` and `verify` start it.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::arguments::Serve;
use crate::contender::Contender;
use crate::measure::{cpus, descriptors};
use crate::run::parent::Parent;

pub(crate) fn run(what: &Serve, find: impl Fn(&str) -> Result<&'static dyn Contender>) -> Result<ExitCode> {
    let Err(error) = serve(what, find);
    Parent.say(&format!("failed {error:#}").replace('\n', "; ")).context(error)?;
    Ok(ExitCode::FAILURE)
}

fn serve(what: &Serve, find: impl Fn(&str) -> Result<&'static dyn Contender>) -> Result<std::convert::Infallible> {
    descriptors::raise_limit();
    if let Some(cpu) = what.cpu {
        // Before anything is started: the engine and its worker inherit it.
        cpus::pin(cpu).with_context(|| format!("cannot stay on processor {cpu}"))?;
    }
    find(&what.name)?.serve(what.shape.shape(), &Parent)
}
