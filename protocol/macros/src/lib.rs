//! The service and data macros of speedysvc.
//!
//! Use them as `speedysvc::service` and `speedysvc::data`. What they write names `::speedysvc::__private` and the
//! standard library only, so that a crate that depends on `speedysvc` alone compiles with it, and it is the same
//! whatever features of `speedysvc` are on.
//!
//! * `declaration`: a trait as it was written becomes methods, arguments and results, or errors that say what to do.
//!   `types` decides what an argument or a result is, `lent` who lends one; `refused` knows what cannot travel.
//! * `settings` is what stands in the attribute's brackets, `method_settings` in `#[method(...)]` on a method, `codec`
//!   what that says of codecs.
//! * `spec`, `server`, `client`: what is generated from that. `signature`: a method's normal form.
//!   `generic`: how errors about types stay few.
//! * `implementation`: the attribute on an `impl` block. `data`: the other macro.
#![forbid(unsafe_code)]

mod client;
mod codec;
mod data;
mod declaration;
mod generic;
mod implementation;
mod lent;
mod method_settings;
mod refused;
mod server;
mod settings;
mod signature;
mod spec;
mod text;
mod types;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Item};

/// Makes a service of a trait, or a host for it of an `impl` block.
///
/// ```text
/// /// Gives back what it gets.
/// #[speedysvc::service(name = "echo", version = 1)]
/// pub trait Echo {
///     fn echo(&self, text: &str) -> String;
///     fn total(&self, numbers: &Archived<Vec<u64>>) -> Result<u64, TooBig>;
/// }
///
/// #[speedysvc::service]
/// impl Echo for MyEcho { ... }
/// ```
///
/// # On a trait
/// The trait stays as it is. Beside it come `EchoService`, which holds what both sides agree on, and `EchoClient`,
/// which has the trait's methods: they wait for the result. `client.start()` gives an `EchoStarter`, whose methods give
/// a `Pending` instead, which is awaited or waited for later, so that one thread can have many calls in flight. `name`
/// is the trait's name in kebab-case unless it is given, `version` is 1.
///
/// Methods take `&self` and any of these:
///
/// | argument | what the handler gets | what the client takes |
/// |---|---|---|
/// | `&str`, `&[u8]` | a view into the call's bytes | the same |
/// | `&Archived<T>` | a view into the call's bytes, checked | `&T` |
/// | `&T` | a value made for this call | `&T` |
/// | `T` | a value made for this call | `T` |
///
/// Where a handler takes `&Vec<u8>` or a view of one, the client takes `&[u8]`. There are at most 12 arguments.
///
/// Methods give nothing, a value, or a `Result` whose error is the method's own and reaches the caller with its type.
/// What a handler holds, or was just given, it lends, and copies nothing to answer with it.
///
/// | result | who keeps it | what the client gives |
/// |---|---|---|
/// | `T` | nobody | `T` |
/// | `&str`, `&[u8]` | the service | `String`, `Vec<u8>` |
/// | `&T` | the service | `T` |
/// | `&'a str`, `&'a [u8]`, `&'a T` | an argument that is a view `&'a`, or with `&'a self` the service | the same |
///
/// ```text
/// fn row(&self, number: u64) -> Result<&Row, NoRow>;
/// fn echo<'a>(&self, bytes: &'a [u8]) -> &'a [u8];
/// ```
///
/// Only the whole of what is good is lent: no `Option<&T>`, and no `Vec<&T>`. To the contract and to the caller it is
/// as if it were given, so a method may begin to lend, and cease to, when it likes. What is behind a lock cannot be
/// lent.
///
/// Put [`macro@data`] on types of your own. Callers that write JSON name arguments as the trait does; a `&[u8]` or
/// `Vec<u8>` is base64 text there.
///
/// A method may carry `#[method(idempotent)]`: running it twice does no more than running it once. Then clients make a
/// call again also when a worker was lost of which nobody knows whether it had run the call; other calls are only made
/// again when they have certainly not started.
///
/// # Where handlers run
/// A handler that is a plain `fn` runs on its worker's loop from beginning to end, at memory speed; meanwhile the loop
/// does nothing else, though other workers take what waits in shared memory. Others say so in the trait:
///
/// ```text
/// #[method(blocking)]
/// fn render(&self, page: &str) -> Vec<u8>;
/// async fn fetch(&self, name: &str) -> Option<String>;
/// #[method(runtime = "tokio")]
/// async fn query(&self, sql: &str) -> Result<Rows, QueryError>;
/// ```
///
/// * `blocking`: on a thread of a small pool beside the loop, for what waits for disks, locks or other processes. It
///   takes two wakes longer. More calls than may wait for a thread are refused with `RESOURCE_EXHAUSTED`, not started.
/// * `async fn`: in pieces on the loop's thread, so that a thousand can wait at once. It may await calls of other
///   services (`client.start()`), channels, and whatever else is woken from another thread. It must not block, and need
///   not be `Send`. Libraries that need tokio's runtime panic there; the error says what to write.
/// * `async fn` with `runtime = "tokio"`: in pieces on a thread with a tokio runtime (and `LocalSet`) beside the loop.
///   Needs the feature `tokio` of speedysvc; a worker that was built without it does not start, and says so.
///
/// An `async fn` is dropped where it awaits when its caller gives the call up or the deadline passes. Other handlers
/// may ask: `speedysvc::context()`. A plain `fn` that turns out to take more than half a millisecond runs beside the
/// loop, one at a time, when its call came over a socket, so that it does not hold up the other sockets. Callers see no
/// difference between all of these, and none of it is part of the contract.
///
/// # What callers may leave out
/// `#[default(value)]` before an argument makes it optional for callers that write JSON or MessagePack: they leave it
/// out by name, or at the end of an array, or with the whole body where it is the only one. The schema says so. Give
/// new arguments a default, and such callers need no change. Rust functions take all arguments, so generated clients
/// do, too: to those a new argument is another contract.
///
/// ```text
/// fn thumbnail(&self, image: &[u8], #[default(128)] width: u32) -> Vec<u8>;
/// ```
///
/// # Codecs
/// A method answers in the codec of its caller, whatever is written here: archives, JSON and MessagePack all reach the
/// same handler with the same types. `#[method(codec = "...")]` chooses what *clients that are built from this trait*
/// write for the method, and with it how strictly both programs must agree:
///
/// | codec | what it is for |
/// |---|---|
/// | `"rkyv"`, the usual one | speed: read where it lies. Both programs need exactly the same types |
/// | `"json"` | change: what is optional may be added on either side |
/// | `"msgpack"` | the same in fewer bytes, with byte strings as they are |
/// | `"raw"` | one byte string in, one out: the bytes and nothing else |
///
/// ```text
/// #[method(codec = "json")]
/// fn search(&self, query: Query, #[default(10)] most: u32) -> Page;
/// ```
///
/// Optional are fields and arguments that are an `Option` or have a default: `#[serde(default)]`, `#[default(...)]`.
/// Of methods with another codec than rkyv only the name is compared at connect. What differs in more than optional
/// parts is refused by each call, with `INVALID_ARGUMENT`, not started; a result that lacks what the client needs is
/// `DATA_LOSS`, done. Names of arguments count then: several travel as a map by names. A method with one argument
/// takes it without a name; where more may come, begin with a struct of them, or with two. The codec is no part of the
/// contract: changing it leaves programs that were built before as they are.
///
/// A method's name, its types and their fields are its contract: they are compared when a client connects. The names of
/// arguments, doc comments and how a type is imported are not part of it.
///
/// # On an `impl` block
/// The block stays as it is. Beside it comes an implementation of `speedysvc::Service`, which a worker hosts.
#[proc_macro_attribute]
pub fn service(settings: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let (settings, item) = (TokenStream::from(settings), TokenStream::from(item));
    // An item that is wrong stays too, so that the one error that matters is not followed by many about a name that is
    // missing.
    expand_service(settings, item.clone())
        .unwrap_or_else(|error| {
            let (item, error) = (method_settings::without_in(item), error.into_compile_error());
            quote!(#item #error)
        })
        .into()
}

fn expand_service(settings: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    match syn::parse2::<Item>(item)? {
        Item::Trait(item) => {
            let declared = declaration::read(settings, &item)?;
            let (types, spec) = (generic::generate(&declared), spec::generate(&declared));
            let (server, client) = (server::generate(&declared), client::generate(&declared));
            let item = implementation::with_entrances(method_settings::without(item));
            Ok(quote!(#item #types #spec #server #client))
        }
        Item::Impl(item) => {
            let beside = implementation::generate(&settings, &item)?;
            Ok(quote!(#item #beside))
        }
        other => {
            Err(Error::new_spanned(other, "#[speedysvc::service] goes on a trait, or on an `impl` of such a trait"))
        }
    }
}

/// Lets a struct or an enum travel in calls: as an argument, a result or a method's own error.
///
/// It derives rkyv's, serde's and schemars' traits, and nothing else: add `Debug`, `Clone` or `PartialEq` as you need
/// them. Put it above your own `#[derive]`, `#[serde]` and `#[rkyv]` attributes; those work as usual.
///
/// ```text
/// #[speedysvc::data]
/// #[derive(Debug, Clone)]
/// pub struct Point { pub x: f64, pub y: f64 }
/// ```
///
/// A handler that takes `&Archived<Point>` gets rkyv's `ArchivedPoint`; `#[rkyv(derive(Debug))]` puts `Debug` on that.
///
/// # What does not work by itself
/// * A type that contains itself: rkyv's traits of such a type would depend on themselves. Keep what refers to other
///   values as places in a `Vec`.
/// * In a crate that warns of missing docs, an `enum` whose variants have named fields: rkyv writes such fields without
///   docs. Give the variant a struct, or keep the enum in a private module and re-export it.
#[proc_macro_attribute]
pub fn data(settings: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let item = TokenStream::from(item);
    match data::generate(&settings.into(), item.clone()) {
        Ok(generated) => generated.into(),
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#item #error).into()
        }
    }
}
