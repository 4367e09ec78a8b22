//! Our HTTP with JSON, with the client of axum's contenders.

use std::convert::Infallible;
use std::rc::Rc;

use anyhow::Result;

use super::axum::client::KeepAlive;
use super::axum::{CONNECTIONS_MAX, Kind, SIZE_MAX};
use super::engine::{self, Engine};
use super::ours::FILE;
use super::{Contender, Does, Group, Shape, tokio as runtimes};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;

pub(super) struct Http;

impl Contender for Http {
    fn name(&self) -> &'static str {
        "speedysvc-http"
    }

    fn group(&self) -> Group {
        Group::Ours
    }

    fn what(&self) -> &'static str {
        "the same service over HTTP/1.1 with JSON, bytes as base64 both ways, with the client of axum-json"
    }

    fn version(&self) -> String {
        engine::version().unwrap_or_else(|_| "not built".into())
    }

    fn takes(&self, shape: Shape) -> bool {
        shape.size <= SIZE_MAX && shape.depth * shape.connections <= CONNECTIONS_MAX
    }

    fn does(&self, what: Does) -> bool {
        matches!(what, Does::Echo | Does::Idle)
    }

    fn missing(&self) -> Option<String> {
        engine::program().err().map(|error| format!("{error:#}"))
    }

    fn serve(&self, _: Shape, parent: &Parent) -> Result<Infallible> {
        let engine = Engine::start(FILE)?;
        let address = engine.tcp_address("echo")?.replace("tcp://", "");
        parent.ready(&address, &engine.processes()?)?;
        parent.wait_for_its_end();
        engine.stop();
        std::process::exit(0)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        let runtime = Rc::new(runtimes::runtime()?);
        job.run(|| KeepAlive::connect(&runtime, address, job.shape.depth, Kind::Ours))
    }
}
