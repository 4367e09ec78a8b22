//! Both sides of peers that are asynchronous: a runtime of one thread, and the harness's closed loop around its calls.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use anyhow::Result;
use bench_harness::{Client, Job, Outcome, Parent};
use futures::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalRuntime};
use tokio::task::{JoinHandle, spawn_local};

use crate::peer;

/// Tokio's runtime of the current thread. Its tasks need not be `Send`, which Cap'n Proto's are not.
pub fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread().enable_all().build_local(Default::default())
}

/// Where a server listens, as the runtime wants it.
pub fn listen(parent: &Parent) -> Result<TcpListener> {
    let listener = peer::listen(parent)?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

/// A connection to such a server.
pub async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects as often as the row says, all on one runtime, and makes calls. `begin` makes the future of a call from a
/// request, and `take` puts its answer where the harness wants it.
pub fn drive<Begin, Call, Answer>(
    job: &Job,
    mut connect: impl AsyncFnMut() -> Result<Begin>,
    take: fn(Answer, &mut Vec<u8>) -> io::Result<()>,
) -> Result<Outcome>
where
    Begin: FnMut(&[u8]) -> Call,
    Call: Future<Output = io::Result<Answer>> + 'static,
    Answer: 'static,
{
    let runtime = Rc::new(runtime()?);
    let is_alone = job.shape.depth * job.shape.connections == 1;
    job.run(|| {
        let begin = runtime.block_on(connect())?;
        Ok(Calls { runtime: Rc::clone(&runtime), is_alone, begin, take, begun: VecDeque::new() })
    })
}

/// One connection's calls.
struct Calls<Begin, Call, Answer> {
    runtime: Rc<LocalRuntime>,
    is_alone: bool,
    begin: Begin,
    take: fn(Answer, &mut Vec<u8>) -> io::Result<()>,
    begun: VecDeque<Begun<Call, Answer>>,
}

/// The only call there is runs while we wait for it, and needs no task. Of several, each is a task: all of them run
/// while we wait for one. They start together when there is no answer left to take, as with plain sockets, whose
/// requests are gathered so long.
enum Begun<Call, Answer> {
    Alone(Call),
    Task(JoinHandle<io::Result<Answer>>),
}

impl<Begin, Call, Answer> Client for Calls<Begin, Call, Answer>
where
    Begin: FnMut(&[u8]) -> Call,
    Call: Future<Output = io::Result<Answer>> + 'static,
    Answer: 'static,
{
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let call = (self.begin)(request);
        let begun = if self.is_alone { Begun::Alone(call) } else { Begun::Task(self.runtime.spawn_local(call)) };
        self.begun.push_back(begun);
        Ok(())
    }

    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        let answer = match self.begun.pop_front().ok_or(ErrorKind::NotFound)? {
            Begun::Alone(call) => self.runtime.block_on(call)?,
            Begun::Task(mut task) => match (&mut task).now_or_never() {
                Some(done) => done??,
                None => self.runtime.block_on(task)??,
            },
        };
        (self.take)(answer, reply)
    }
}

/// Puts an answer that is bytes into the harness's buffer, which is warm.
pub fn copy(answer: impl AsRef<[u8]>, reply: &mut Vec<u8>) {
    reply.clear();
    reply.extend_from_slice(answer.as_ref());
}

/// A task that nobody waits for says why it fails.
pub fn spawn(what: &'static str, task: impl Future<Output = Result<()>> + 'static) {
    spawn_local(async move {
        if let Err(error) = task.await {
            eprintln!("{what}: {error:#}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::task::yield_now;

    /// Turns that a call waits for others.
    const PATIENCE: usize = 100;

    /// Makes `count` calls at once, each of which answers only when all of them have begun.
    fn together(count: usize, is_alone: bool) -> io::Result<Vec<Vec<u8>>> {
        let begun = Rc::new(Cell::new(0));
        let begin = |request: &[u8]| {
            let (begun, answer) = (Rc::clone(&begun), request.to_vec());
            async move {
                begun.set(begun.get() + 1);
                for _ in 0..PATIENCE {
                    if begun.get() == count {
                        return Ok(answer);
                    }
                    yield_now().await;
                }
                Err(ErrorKind::TimedOut.into())
            }
        };
        let take = |answer: Vec<u8>, reply: &mut Vec<u8>| {
            copy(answer, reply);
            Ok(())
        };
        let runtime = Rc::new(runtime()?);
        let mut calls = Calls { runtime, is_alone, begin, take, begun: VecDeque::new() };
        for call in 0..count {
            calls.send(&call.to_le_bytes())?;
        }
        let mut reply = vec![];
        (0..count).map(|_| calls.receive(&mut reply).map(|()| reply.clone())).collect()
    }

    #[test]
    fn several_calls_run_together_and_are_answered_in_order() {
        let answers = together(8, false).unwrap();
        assert_eq!(answers, (0..8_usize).map(|call| call.to_le_bytes().to_vec()).collect::<Vec<_>>());
    }

    #[test]
    fn a_call_that_is_alone_needs_no_task() {
        assert_eq!(together(1, true).unwrap(), [0_usize.to_le_bytes()]);
        assert_eq!(together(2, true).unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
