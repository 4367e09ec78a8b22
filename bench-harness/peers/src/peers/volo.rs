//! Volo's Thrift over its shared memory (shmipc): bodies and frames are in memory, and an eventfd wakes the other side.

use std::convert::Infallible;
use std::io;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use bench_harness::{Job, Outcome, Parent, Shape};
use bytes::Bytes;
use volo::net::Address;
use volo::net::shmipc;
use volo::net::shmipc::config::{Config, DEFAULT_SESSION_MANAGER_CONFIG, SessionManagerConfig};
use volo_thrift::ServerError;

use self::wire::volo_gen::echo::{Echo, EchoClientBuilder, EchoServer};
use crate::calls;
use crate::peer::Peer;

mod wire {
    include!(concat!(env!("OUT_DIR"), "/volo_gen.rs"));
}

pub const PEER: Peer = Peer {
    name: "volo",
    version: concat!("volo-thrift ", env!("VERSION_VOLO_THRIFT"), ", shmipc ", env!("VERSION_SHMIPC")),
    serve,
    drive,
};

struct Service;

impl Echo for Service {
    async fn echo(&self, body: Bytes) -> Result<Bytes, ServerError> {
        Ok(body)
    }
}

/// Where the two sides meet, to hand over the memory's descriptors.
fn address(socket: &Path) -> Result<Address> {
    Ok(Address::Shmipc(shmipc::Address::from(SocketAddr::from_pathname(socket)?)))
}

fn serve(_: Shape, parent: &Parent) -> Result<Infallible> {
    let folder = tempfile::Builder::new().prefix("bench-volo-").tempdir()?;
    let socket = folder.path().join("socket");
    calls::runtime()?.block_on(async {
        let incoming = volo::net::MakeIncoming::make_incoming(address(&socket)?).await?;
        parent.end_with_it_holding(|| drop(folder))?;
        parent.ready(socket.to_str().context("the temporary folder is not UTF-8")?, &[std::process::id()])?;
        EchoServer::new(Service).run(incoming).await.map_err(|error| anyhow!(error))?;
        bail!("the server of volo has ended")
    })
}

fn drive(socket: &str, job: &Job) -> Result<Outcome> {
    // What shmipc recommends for small messages; the server does as its client asks.
    let config = SessionManagerConfig::new().with_config(Config::new().with_v4_eventfd());
    DEFAULT_SESSION_MANAGER_CONFIG.store(Arc::new(config));
    let connect = async || {
        let client = EchoClientBuilder::new("echo").address(address(socket.as_ref())?).build();
        Ok(move |request: &[u8]| {
            let (client, body) = (client.clone(), Bytes::copy_from_slice(request));
            async move { client.echo(body).await.map_err(io::Error::other) }
        })
    };
    calls::drive(job, connect, |body, reply| {
        calls::copy(body, reply);
        Ok(())
    })
}
