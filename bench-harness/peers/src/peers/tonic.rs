//! gRPC. Bodies are `Bytes`, so that neither side copies one to make a message of it.

use std::convert::Infallible;
use std::io;

use anyhow::{Result, bail};
use bench_harness::{Job, Outcome, Parent, Shape};
use bytes::Bytes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

use self::wire::Message;
use self::wire::echo_client::EchoClient;
use self::wire::echo_server::{Echo, EchoServer};
use crate::calls;
use crate::peer::{MESSAGE_MAX, Peer};

mod wire {
    tonic::include_proto!("echo");
}

/// HTTP/2's windows: large enough that no message of a row waits for a window update.
const WINDOW: u32 = 4 * 1024 * 1024;

pub const PEER: Peer = Peer {
    name: "tonic",
    version: concat!("tonic ", env!("VERSION_TONIC"), ", prost ", env!("VERSION_PROST")),
    serve,
    drive,
};

struct Service;

#[tonic::async_trait]
impl Echo for Service {
    async fn echo(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

fn serve(_: Shape, parent: &Parent) -> Result<Infallible> {
    calls::runtime()?.block_on(async {
        let incoming = TcpIncoming::from(calls::listen(parent)?).with_nodelay(Some(true));
        let service = EchoServer::new(Service);
        Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .add_service(service.max_decoding_message_size(MESSAGE_MAX).max_encoding_message_size(MESSAGE_MAX))
            .serve_with_incoming(incoming)
            .await?;
        bail!("the server of tonic has ended")
    })
}

fn drive(address: &str, job: &Job) -> Result<Outcome> {
    let connect = async || {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .tcp_nodelay(true);
        let client = EchoClient::new(endpoint.connect().await?)
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX);
        Ok(move |request: &[u8]| {
            let (mut client, message) = (client.clone(), Message { body: Bytes::copy_from_slice(request) });
            async move { Ok(client.echo(message).await.map_err(io::Error::other)?.into_inner().body) }
        })
    };
    calls::drive(job, connect, |body, reply| {
        calls::copy(body, reply);
        Ok(())
    })
}
