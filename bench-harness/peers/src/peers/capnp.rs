//! Cap'n Proto's RPC. A request is written into its message, and an answer read out of its own: no third buffer.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;

use anyhow::Result;
use bench_harness::{Job, Outcome, Parent, Shape};
use capnp::message::ReaderOptions;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{RpcSystem, new_client};
use futures::AsyncReadExt;
use futures::io::{BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt;

use self::echo_capnp::echo;
use crate::calls;
use crate::peer::Peer;

capnp::generated_code!(mod echo_capnp);

pub const PEER: Peer = Peer { name: "capnp", version: concat!("capnp-rpc ", env!("VERSION_CAPNP_RPC")), serve, drive };

struct Service;

impl echo::Server for Service {
    async fn echo(self: Rc<Self>, params: echo::EchoParams, mut results: echo::EchoResults) -> capnp::Result<()> {
        results.get().set_body(params.get()?.get_body()?);
        Ok(())
    }
}

/// Buffered, as the documentation of `VatNetwork` recommends.
fn network(stream: TcpStream, side: Side) -> Box<VatNetwork<impl futures::AsyncRead + Unpin>> {
    let (reader, writer) = stream.compat().split();
    Box::new(VatNetwork::new(BufReader::new(reader), BufWriter::new(writer), side, ReaderOptions::new()))
}

fn serve(_: Shape, parent: &Parent) -> Result<Infallible> {
    calls::runtime()?.block_on(async {
        let listener = calls::listen(parent)?;
        let service: echo::Client = new_client(Service);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let system = RpcSystem::new(network(stream, Side::Server), Some(service.clone().client));
            calls::spawn("a connection", async { Ok(system.await?) });
        }
    })
}

fn drive(address: &str, job: &Job) -> Result<Outcome> {
    let connect = async || {
        let mut system = RpcSystem::new(network(calls::connect(address).await?, Side::Client), None);
        let client: echo::Client = system.bootstrap(Side::Server);
        calls::spawn("the connection", async { Ok(system.await?) });
        Ok(move |body: &[u8]| {
            let mut request = client.echo_request();
            request.get().set_body(body);
            let answer = request.send().promise;
            async { answer.await.map_err(io::Error::other) }
        })
    };
    calls::drive(job, connect, |answer, reply| {
        let body = answer.get().and_then(|results| results.get_body());
        calls::copy(body.map_err(io::Error::other)?, reply);
        Ok(())
    })
}
