//! The handler's side of a call: the trait that the service macro implements, and what its output calls.

mod arguments;
mod bytes;
mod straight;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::archive::{self, Buffer, Decode, Encode, Sink};
use crate::byte_string;
use crate::contract::{Contract, ServiceSpec};
use crate::ids::{CallId, Codec, MethodIndex};
use crate::json;
use crate::msgpack;
use crate::shm::in_place::InPlace;
use crate::status::{Code, Failure, Status};
pub use arguments::{ByteString, Form, arguments, byte_string};

/// What may be an owned argument, a result or an error of a method.
///
/// Put `#[speedysvc::data]` on your own types; the usual standard types have it already.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel in a call",
    note = "put #[speedysvc::data] on the type; shared pointers (Rc, Arc) cannot travel at all"
)]
pub trait Value: Encode + Decode + Serialize + DeserializeOwned + JsonSchema {}
impl<T: Encode + Decode + Serialize + DeserializeOwned + JsonSchema> Value for T {}

/// A service that a worker can host. `#[speedysvc::service]` on an `impl` block writes this.
pub trait Service: Send + Sync + 'static {
    /// What the service offers.
    fn contract(&self) -> &'static Contract;

    /// The declaration that the contract was made from, with doc comments and schemas.
    fn spec(&self) -> &'static ServiceSpec;

    /// Runs one call: reads the arguments, runs the handler and writes the reply.
    ///
    /// # Errors
    /// [`Failure`] when the arguments cannot be read, or the reply is over the limit. A method's own error is not one:
    /// it is a reply.
    fn call(&self, method: MethodIndex, call: Call<'_>) -> Result<(), Failure>;

    /// Begins one call of a method that is an `async fn`: see [`Runs`](crate::contract::Runs).
    fn begin(self: Arc<Self>, method: MethodIndex, mut call: OwnedCall) -> Begun {
        let text = format!("method {} is no async fn", method.0);
        call.reply.fail(&Failure::not_started(Code::Unimplemented, text));
        Box::pin(std::future::ready(call))
    }
}

/// A call of an `async fn` that has begun: it gives back what it was given, with the reply written.
pub type Begun = Pin<Box<dyn Future<Output = OwnedCall>>>;

/// One call, as the loop hands it to a service.
pub struct Call<'a> {
    /// How arguments and reply are written.
    pub codec: Codec,
    /// The arguments.
    pub body: Body<'a>,
    /// Room for arguments that must be rewritten, with a limit that bounds the worker's memory.
    pub scratch: &'a mut Buffer,
    /// Where the reply goes.
    pub reply: &'a mut Reply,
}

/// One call that owns its memory, so that it can run on another thread, or in pieces.
pub struct OwnedCall {
    /// How arguments and reply are written.
    pub codec: Codec,
    /// The arguments, when they are not in place.
    pub arguments: Buffer,
    /// Where a trusted client wrote them, and whether a large reply should be written over them.
    pub in_place: Option<(InPlace, bool)>,
    /// Room for arguments that must be rewritten.
    pub scratch: Buffer,
    /// Where the reply goes.
    pub reply: Reply,
}

impl Default for OwnedCall {
    fn default() -> Self {
        let [arguments, scratch] = [(); 2].map(|()| Buffer::new(0));
        Self { codec: Codec::Rkyv, arguments, in_place: None, scratch, reply: Reply::new(0) }
    }
}

impl OwnedCall {
    /// Bytes of the arguments.
    #[must_use]
    pub fn len(&self) -> usize {
        self.in_place.as_ref().map_or(self.arguments.as_slice().len(), |(place, _)| place.bytes().len())
    }

    /// Whether the arguments have no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The call as a service takes it. Once: arguments in place are taken out of it.
    pub fn call(&mut self) -> Call<'_> {
        let Self { codec, arguments, in_place, scratch, reply } = self;
        let body = match in_place.take() {
            Some((place, reply_over)) => Body::InPlace { place, reply_over },
            None => Body::Own(arguments.as_slice()),
        };
        Call { codec: *codec, body, scratch, reply }
    }
}

/// A call's arguments. Nobody changes them.
pub enum Body<'a> {
    /// In memory of our own, at any address: [`arguments()`] moves an archive to where it can be read.
    Own(&'a [u8]),
    /// Where a trusted client wrote them, aligned for archives.
    InPlace {
        /// There.
        place: InPlace,
        /// Whether an archived reply is so large that it should be written over them.
        reply_over: bool,
    },
}

impl Body<'_> {
    /// The arguments.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::InPlace { place, .. } => place.bytes(),
        }
    }

    /// Whether [`Reply::over`] would let the reply go over them.
    #[inline]
    #[must_use]
    pub fn is_written_over(&self) -> bool {
        matches!(self, Self::InPlace { reply_over: true, .. })
    }
}

/// [`Status::Ok`] as on the wire.
const OK: u32 = 0;

/// A reply as it is written.
pub struct Reply {
    body: Buffer,
    /// Where an archive may be written instead; empty until one is there.
    window: Option<Box<dyn Sink + Send>>,
    /// As on the wire, a word that is written and read as one: what is written by its first byte and then read whole a
    /// processor waits for.
    status: u32,
    /// A result that has been written. Its memory is given back when the reply is out: nobody waits for that.
    written: Vec<u8>,
    apart: Apart,
    /// Frames of replies, while others go behind them.
    frames: Vec<u8>,
}

/// Where the archive of a byte string is, when it is not the body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Apart {
    /// It must be.
    Never,
    /// It need not be made, from so many bytes on.
    From(usize),
    /// It is still to be made, of what is in `written`.
    Is,
    /// It may go behind `frames` as the reply to this call, when it is of fewer bytes than these.
    Straight(CallId, usize),
    /// It has gone there, where its frame begins at this byte, with so many bytes.
    Gone(usize, usize),
}

impl Reply {
    /// An empty reply with room for at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let (status, written, apart, frames) = (OK, Vec::new(), Apart::Never, Vec::new());
        Self { body: Buffer::new(limit), window: None, status, written, apart, frames }
    }

    /// What the body is.
    #[inline]
    #[must_use]
    pub fn status(&self) -> Status {
        if self.status == OK { Status::Ok } else { Status::from_wire(self.status) }
    }

    /// The body as it goes to the caller, unless it is in the window.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.as_slice()
    }

    /// Takes the body out, and leaves another buffer in its place.
    pub fn replace_body(&mut self, other: Buffer) -> Buffer {
        std::mem::replace(&mut self.body, other)
    }

    /// Bytes of the body in the window that was offered, when it is there.
    #[inline]
    #[must_use]
    pub fn in_window(&self) -> Option<usize> {
        self.window.as_ref().map(|window| window.written()).filter(|written| *written > 0)
    }

    /// Takes a new limit for the next reply, and gives unusually large room back. An archive that fits into `window` is
    /// written there.
    #[inline]
    pub fn prepare(&mut self, limit: usize, keep: usize, window: Option<Box<dyn Sink + Send>>) {
        self.window = window;
        self.body.trim(keep);
        self.body.set_limit(limit);
        self.prepare_another();
    }

    /// The same for one more reply, with the same limit and without a window.
    #[inline]
    pub fn prepare_another(&mut self) {
        self.body.clear();
        self.status = OK;
        self.apart = Apart::Never;
    }

    /// Who publishes the next reply takes a byte string of at least so many bytes from where its method left it, and
    /// writes its archive where it is read: see [`Reply::apart`].
    #[inline]
    pub fn let_apart(&mut self, least: usize) {
        self.apart = Apart::From(least);
    }

    /// The byte string whose archive is the reply, when that has not been made: [`Reply::body`] is empty then.
    #[inline]
    #[must_use]
    pub fn apart(&self) -> Option<&[u8]> {
        (self.apart == Apart::Is).then_some(self.written.as_slice())
    }

    /// Makes the body of what lies apart, after all.
    #[cold]
    pub fn join(&mut self) {
        if std::mem::replace(&mut self.apart, Apart::Never) == Apart::Is {
            let written = byte_string::encode(&self.written, &mut self.body);
            written.unwrap_or_else(|over| self.fail(&over));
        }
    }

    /// The reply is on its way: what was needed to make it is not needed any more.
    #[inline]
    pub fn let_go(&mut self) {
        self.written = Vec::new();
    }

    /// The arguments have been used: a large reply may go over them.
    #[inline]
    pub fn over(&mut self, body: Body<'_>) {
        if let Body::InPlace { place, reply_over: true } = body {
            self.write_over(place);
        }
    }

    #[cold]
    fn write_over(&mut self, place: InPlace) {
        self.window = Some(Box::new(place.into_window()));
    }

    /// Replaces whatever was written by a failure.
    pub fn fail(&mut self, failure: &Failure) {
        self.window = None;
        self.call_back();
        self.status = failure.status().to_wire();
        let text = failure.wire_text().as_bytes();
        if let Err(no_room) = self.body.room(text.len()).map(|room| room.copy_from_slice(text)) {
            debug_assert!(self.body.limit() < text.len(), "{no_room}");
            self.body.clear();
        }
    }

    /// Writes the method's result.
    ///
    /// # Errors
    /// [`Failure`] when it is over the limit.
    #[inline]
    pub fn ok<T: Encode + Serialize>(&mut self, codec: Codec, value: &T) -> Result<(), Failure> {
        self.status = OK;
        self.write(codec, value)
    }

    /// Writes a JSON document: as its text where that is archived.
    ///
    /// # Errors
    /// [`Failure`] when it is over the limit.
    pub fn document(&mut self, codec: Codec, document: &serde_json::Value) -> Result<(), Failure> {
        self.status = OK;
        match codec {
            Codec::Rkyv => self.archive(&document.to_string()),
            Codec::Json | Codec::Raw => json::encode(document, &mut self.body),
            Codec::MsgPack => msgpack::encode(document, &mut self.body),
        }
    }

    /// Writes the method's own error.
    ///
    /// # Errors
    /// [`Failure`] when it is over the limit.
    pub fn application<E: Encode + Serialize>(&mut self, codec: Codec, error: &E) -> Result<(), Failure> {
        self.status = Status::Application.to_wire();
        self.write(codec, error)
    }

    fn write<T: Encode + Serialize>(&mut self, codec: Codec, value: &T) -> Result<(), Failure> {
        match codec {
            Codec::Rkyv => self.archive(value),
            Codec::Json => json::encode(value, &mut self.body),
            // A method with a raw form gives bytes; only its own error comes here, and that is text for people.
            Codec::MsgPack => msgpack::encode(value, &mut self.body),
            Codec::Raw => json::encode(value, &mut self.body),
        }
    }

    fn archive<T: Encode>(&mut self, value: &T) -> Result<(), Failure> {
        if let Some(window) = &mut self.window {
            if archive::encode_into(value, &mut **window).is_ok() {
                return Ok(());
            }
            // It did not fit, or cannot be archived at all: the second attempt says which.
            self.window = None;
        }
        archive::encode(value, &mut self.body)
    }
}
