//! tarpc with bincode. Bodies are `ByteBuf`: a `Vec<u8>` would be read and written byte by byte.

use std::convert::Infallible;
use std::io;

use anyhow::Result;
use bench_harness::{Job, Outcome, Parent, Shape};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tarpc::context::Context;
use tarpc::serde_transport::{self, Transport};
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::LengthDelimitedCodec;
use tarpc::{client, context};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::calls;
use crate::peer::{MESSAGE_MAX, Peer};

pub const PEER: Peer = Peer { name: "tarpc", version: concat!("tarpc ", env!("VERSION_TARPC")), serve, drive };

#[tarpc::service]
trait Echo {
    async fn echo(body: ByteBuf) -> ByteBuf;
}

#[derive(Clone)]
struct Service;

impl Echo for Service {
    async fn echo(self, _: Context, body: ByteBuf) -> ByteBuf {
        body
    }
}

/// Both sides' transport: the default frames, larger.
fn transport<In, Out>(stream: TcpStream) -> Transport<TcpStream, In, Out, Bincode<In, Out>>
where
    In: for<'a> Deserialize<'a>,
    Out: Serialize,
{
    let framed = LengthDelimitedCodec::builder().max_frame_length(MESSAGE_MAX).new_framed(stream);
    serde_transport::new(framed, Bincode::default())
}

fn serve(_: Shape, parent: &Parent) -> Result<Infallible> {
    calls::runtime()?.block_on(async {
        let listener = calls::listen(parent)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let channel = BaseChannel::with_defaults(transport(stream));
            // As its documentation does: a task for each connection, and one for each call.
            spawn_local(channel.execute(Service.serve()).for_each(async |call| {
                spawn_local(call);
            }));
        }
    })
}

fn drive(address: &str, job: &Job) -> Result<Outcome> {
    let connect = async || {
        let client = EchoClient::new(client::Config::default(), transport(calls::connect(address).await?)).spawn();
        Ok(move |request: &[u8]| {
            let (client, body) = (client.clone(), ByteBuf::from(request));
            async move { client.echo(context::current(), body).await.map_err(io::Error::other) }
        })
    };
    calls::drive(job, connect, |body, reply| {
        *reply = body.into_vec();
        Ok(())
    })
}
