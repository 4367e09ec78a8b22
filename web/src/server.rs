//! The door: connections within limits, on a runtime of our own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Most connections at a time; others wait until one ends.
const CONNECTIONS_MAX: usize = 128;
/// How long a request's head may take, and how long a connection may be idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// A peer that takes nothing for this long loses its connection: by the kernel, which knows.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a request's head, and of what waits to be sent beside a body's current piece.
const BUFFER_MAX: usize = 32 << 10;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor(pub(crate) SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Visitor {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, routes: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: they come back.
                if !is_of_one_connection(&error) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                continue;
            }
        };
        let routes = routes.clone().layer(axum::Extension(axum::extract::ConnectInfo(Visitor(from))));
        tokio::spawn(async move {
            let _place = place;
            connection(stream, routes).await;
        });
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn connection(stream: TcpStream, routes: Router) {
    let patience = u32::try_from(WRITE_PATIENCE.as_millis()).unwrap_or(u32::MAX);
    // Without them it is slower, or ends later.
    let _untuned = rustix::net::sockopt::set_tcp_user_timeout(&stream, patience);
    let _delayed = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(BUFFER_MAX);
    // An error is its end, and nobody else's business.
    let _ended = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)).await;
}
