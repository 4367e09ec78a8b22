//! axum and hyper over HTTP/1.1 with keep-alive, on current-thread runtimes.

mod body;
pub(super) mod client;

use std::convert::Infallible;
use std::rc::Rc;

use anyhow::Result;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use hyper::body::Bytes;
use tokio::net::TcpListener;

use super::{Contender, Does, Group, Shape, tokio as runtimes, version_of};
use crate::measure::job::{Job, Outcome};
use crate::run::parent::Parent;
use body::Encoded;
pub(super) use body::Kind;
use client::KeepAlive;

/// axum limits bodies to 2 MiB unless it is told otherwise; as base64, this much fits.
pub(super) const SIZE_MAX: usize = 1024 * 1024;
pub(super) const CONNECTIONS_MAX: usize = 1024;

/// One kind of body.
pub(super) struct Axum {
    name: &'static str,
    what: &'static str,
    kind: Kind,
}

pub(super) const RAW: Axum = Axum {
    name: "axum-raw",
    what: "axum, POST with the bytes as the body both ways, default settings and TCP_NODELAY; the client is hyper's \
           http1 connection, one with keep-alive for each call in flight; current-thread runtimes",
    kind: Kind::Raw,
};
pub(super) const JSON: Axum = Axum {
    name: "axum-json",
    what: "the same with axum::Json and serde_json on both sides: {\"bytes\": base64}, decoded and encoded again",
    kind: Kind::Json,
};

impl Contender for Axum {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        Group::Peer
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> String {
        format!("{}/{}", version_of("axum"), version_of("hyper"))
    }

    fn takes(&self, shape: Shape) -> bool {
        shape.size <= SIZE_MAX && shape.depth * shape.connections <= CONNECTIONS_MAX
    }

    fn does(&self, what: Does) -> bool {
        matches!(what, Does::Echo | Does::Idle)
    }

    fn serve(&self, _: Shape, parent: &Parent) -> Result<Infallible> {
        runtimes::runtime()?.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            parent.end_with_it()?;
            parent.ready(&listener.local_addr()?.to_string(), &[std::process::id()])?;
            // A socket that refuses the option is slower, and answers all the same.
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            let route = match self.kind {
                Kind::Raw => post(|body: Bytes| async { body }),
                Kind::Json | Kind::Ours => post(|Json(body): Json<Encoded<'static>>| async { Json(body) }),
            };
            axum::serve(listener, Router::new().route("/echo", route)).await?;
            anyhow::bail!("axum has stopped serving")
        })
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        let runtime = Rc::new(runtimes::runtime()?);
        job.run(|| KeepAlive::connect(&runtime, address, job.shape.depth, self.kind))
    }
}
