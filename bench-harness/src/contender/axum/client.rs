//! A client of hyper's: connections that stay open, one for each call in flight.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

use anyhow::Result;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::body::Kind;
use crate::contender::Client;

type Answer = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>>>>;

/// Connections that take turns.
pub(in crate::contender) struct KeepAlive {
    runtime: Rc<Runtime>,
    senders: Vec<SendRequest<Full<Bytes>>>,
    /// The connection whose turn it is.
    turn: usize,
    /// In the order of their requests; no more than connections.
    under_way: VecDeque<Answer>,
    host: HeaderValue,
    kind: Kind,
}

impl KeepAlive {
    pub(in crate::contender) fn connect(
        runtime: &Rc<Runtime>,
        address: &str,
        count: usize,
        kind: Kind,
    ) -> Result<Self> {
        let senders = (0..count).map(|_| runtime.block_on(connect(address))).collect::<Result<_>>()?;
        let (runtime, host) = (Rc::clone(runtime), HeaderValue::from_str(address)?);
        Ok(Self { runtime, senders, turn: 0, under_way: VecDeque::with_capacity(count), host, kind })
    }

    fn request(&self, payload: &[u8]) -> io::Result<Request<Full<Bytes>>> {
        let request =
            Request::post(self.kind.path()).header(HOST, &self.host).header(CONTENT_TYPE, self.kind.content_type());
        request.body(Full::new(self.kind.body(payload)?)).map_err(io::Error::other)
    }
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Should it fail, the call on it does.
    tokio::spawn(connection);
    Ok(sender)
}

impl Client for KeepAlive {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let request = self.request(request)?;
        let sender = &mut self.senders[self.turn];
        self.runtime.block_on(sender.ready()).map_err(io::Error::other)?;
        self.under_way.push_back(Box::pin(sender.send_request(request)));
        self.turn = (self.turn + 1) % self.senders.len();
        Ok(())
    }

    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        let answer = self.under_way.pop_front().ok_or_else(|| io::Error::other("no call is in flight"))?;
        let mut body = std::mem::take(reply);
        body.clear();
        let body = self.runtime.block_on(whole(answer, body))?;
        *reply = self.kind.payload(body)?;
        Ok(())
    }
}

async fn whole(answer: Answer, mut into: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut response = answer.await.map_err(io::Error::other)?;
    if !response.status().is_success() {
        return Err(io::Error::other(format!("the answer is {}", response.status())));
    }
    while let Some(frame) = response.body_mut().frame().await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            into.extend_from_slice(&data);
        }
    }
    Ok(into)
}
