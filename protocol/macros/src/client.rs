//! The caller's side: `EchoClient` with the trait's methods, and `EchoStarter`, which has them too and does not wait.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;

use crate::codec::Codec;
use crate::declaration::{Declaration, Method};
use crate::generic::{Names, base64, value_ident};
use crate::spec::service_ident;
use crate::types::{Argument, Kind};

pub fn generate(declared: &Declaration) -> TokenStream {
    let Declaration { visibility, ident, settings, carried, methods, .. } = declared;
    let (service, trait_name) = (service_ident(ident), ident.unraw());
    let client = format_ident!("{}Client", trait_name, span = ident.span());
    let about = format!("Calls a service that implements [`{trait_name}`]. Clones share their connection.");
    let connects = connects(&settings.name, &service);
    let calls = methods.iter().map(|method| call(declared, method, How::Wait));
    let starts = methods.iter().map(|method| call(declared, method, How::Start));
    let starter = format_ident!("{}Starter", trait_name, span = ident.span());
    let started = format!("Starts calls of a [`{client}`], which has the same methods; see [`{client}::start`].");
    quote! {
        #(#carried)*
        ///
        #[doc = #about]
        #[derive(Clone)]
        #[allow(dead_code, reason = "a program may use one side of a service only")]
        #visibility struct #client {
            channel: ::speedysvc::__private::Channel,
        }

        #[allow(dead_code, reason = "a program may use one side of a service only")]
        #[allow(clippy::ptr_arg, reason = "an argument is archived as the trait's type")]
        impl #client {
            #connects

            /// The address in use; when that is not the best one, also what the better ones said.
            #[must_use]
            pub fn connected_to(&self) -> ::std::string::String {
                self.channel.connected_to()
            }

            /// The same client with another time limit for each call.
            #[must_use]
            pub fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
                Self { channel: self.channel.with_timeout(timeout) }
            }

            /// The same client, whose calls belong to this trace: each is a child of its span. Without it, calls that
            /// are made inside a handler belong to the trace of the call that it serves, and others to none.
            #[must_use]
            pub fn with_trace(&self, trace: ::speedysvc::TraceContext) -> Self {
                Self { channel: self.channel.with_trace(trace) }
            }

            /// Starts calls without waiting for them: `client.start().method(…)` gives a `speedysvc::Pending`, to be
            /// awaited in any async runtime or waited for with its `wait`. Dropping that cancels the call.
            ///
            /// Calls that are started with one starter, kept in a variable, share what it costs to see to it that a
            /// worker looks: at the latest when the starter is dropped, or when waiting for one of them takes long.
            #[must_use]
            pub fn start(&self) -> #starter<'_> {
                #starter { channel: self.channel.start() }
            }

            #(#calls)*
        }

        #[doc = #started]
        #[allow(dead_code, reason = "a program may use one side of a service only")]
        #visibility struct #starter<'a> {
            channel: ::speedysvc::__private::Starter<'a>,
        }

        #[allow(dead_code, reason = "a program may use one side of a service only")]
        #[allow(clippy::ptr_arg, reason = "an argument is archived as the trait's type")]
        impl #starter<'_> {
            #(#starts)*
        }
    }
}

/// The functions that make a client.
fn connects(name: &str, service: &Ident) -> TokenStream {
    let connect =
        format!("Connects to the service at an address such as `shm://{name}`, or at the first that answers.");
    quote! {
        #[doc = #connect]
        ///
        /// Of several, such as `&["shm://NAME", "tcp://HOST:PORT"]`, the next one is taken when one is lost, also in
        /// the middle of use, and a better one again when it is back.
        ///
        /// # Errors
        /// When no service answers there, or its contract is another than this program was built with.
        pub fn connect(
            addresses: &(impl ::speedysvc::__private::Addresses + ?::core::marker::Sized),
        ) -> ::core::result::Result<Self, ::speedysvc::__private::Error> {
            let channel = ::speedysvc::__private::Channel::connect(#service::contract(), addresses)?;
            ::core::result::Result::Ok(Self { channel })
        }

        /// As `connect`, for calls that run one at a time, in the order in which they are made, whichever of the
        /// service's workers runs them. The next begins when the one before it was answered, and was waited for if it
        /// was started. No call is made again by itself, as that would be out of order.
        ///
        /// # Errors
        /// As `connect`.
        pub fn connect_in_order(address: &str) -> ::core::result::Result<Self, ::speedysvc::__private::Error> {
            let channel = ::speedysvc::__private::Channel::connect_in_order(#service::contract(), address)?;
            ::core::result::Result::Ok(Self { channel })
        }

        /// A client of a service in this process, for unit tests: no engine and no sockets, but the same codecs. Each
        /// call runs its handler on the calling thread.
        ///
        /// # Errors
        /// When the service implements another trait than this client is of.
        pub fn in_process(
            service: impl ::speedysvc::__private::Service,
        ) -> ::core::result::Result<Self, ::speedysvc::__private::Error> {
            Self::in_process_with_faults(service, ::speedysvc::__private::Faults::none())
        }

        /// As `in_process`, where attempts at calls meet these faults: for tests of what a program does about them.
        /// Time does not pass: delays and the pauses between attempts are only counted.
        ///
        /// # Errors
        /// As `in_process`.
        pub fn in_process_with_faults(
            service: impl ::speedysvc::__private::Service,
            faults: ::speedysvc::__private::Faults,
        ) -> ::core::result::Result<Self, ::speedysvc::__private::Error> {
            let channel = ::speedysvc::__private::Channel::in_process(#service::contract(), service, faults)?;
            ::core::result::Result::Ok(Self { channel })
        }
    }
}

/// Whether a function waits for the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Wait,
    Start,
}

impl How {
    /// What the function is given to call with.
    fn channel(self) -> TokenStream {
        match self {
            Self::Wait => quote!(::speedysvc::__private::Channel),
            Self::Start => quote!(::speedysvc::__private::Starter<'_>),
        }
    }

    fn result(self, ok: &TokenStream, error: Option<&impl ToTokens>) -> TokenStream {
        match (self, error) {
            (Self::Wait, None) => quote!(::core::result::Result<#ok, ::speedysvc::__private::Error>),
            (Self::Wait, Some(error)) => {
                quote!(::core::result::Result<#ok, ::speedysvc::__private::CallError<#error>>)
            }
            (Self::Start, None) => quote!(::speedysvc::__private::Pending<#ok>),
            (Self::Start, Some(error)) => {
                quote!(::speedysvc::__private::Pending<#ok, ::speedysvc::__private::CallError<#error>>)
            }
        }
    }
}

/// One function for each method, and inside it the one that writes the arguments and calls.
fn call(declared: &Declaration, method: &Method, how: How) -> TokenStream {
    let Method { ident, arguments, output, .. } = method;
    let (names, docs) = (Names::of(declared, method), documentation(method, how));
    let parameters = arguments.iter().map(parameter);
    let ok = output.ok.as_ref().map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let result = how.result(&ok, output.error.as_ref());
    let inner = inner_call(method, &names, how);
    let service = service_ident(&declared.ident);
    let given = arguments.iter().map(|argument| {
        let (name, by) = (&argument.name, matches!(argument.kind, Kind::Owned(_)).then(|| quote!(&)));
        quote!(#by #name)
    });
    // What is given back is moved about next, and need not be if it is made where it goes.
    let inline = (how == How::Start).then(|| quote!(#[inline]));
    quote! {
        #docs
        #inline
        pub fn #ident(&self, #(#parameters),*) -> #result {
            #inner
            typed::<#service>(&self.channel, #(#given),*)
        }
    }
}

fn inner_call(method: &Method, names: &Names<'_>, how: How) -> TokenStream {
    let index = Literal::usize_unsuffixed(method.index);
    let index = quote!(::speedysvc::__private::ids::MethodIndex(#index));
    let body = match method.settings.codec() {
        Codec::Rkyv => in_archives(names, &index),
        other => in_codec(other, names, &index),
    };
    let (ok, error) = (names.ok(), names.error());
    let (generics, result, channel) = (names.generics(), how.result(&ok, error.as_ref()), how.channel());
    let taken = names.arguments().map(|(place, argument)| taken(names, place, &argument.kind));
    quote! {
        fn typed #generics(channel: &#channel, #(#taken),*) -> #result {
            #body
        }
    }
}

/// The call with archives.
fn in_archives(names: &Names<'_>, index: &TokenStream) -> TokenStream {
    let wire = names.arguments().map(|(place, argument)| wire(place, &argument.kind));
    let wire = if names.is_one_byte_string() {
        let only = value_ident(0);
        quote!(&::speedysvc::__private::byte_string::OnlyArgument(#only))
    } else {
        quote!(&(#(#wire,)*))
    };
    let ok = names.ok();
    match (names.error(), names.is_byte_string()) {
        (None, false) => quote!(channel.call::<_, #ok>(#index, #wire)),
        (None, true) => quote!(channel.call_for_bytes(#index, #wire)),
        (Some(error), false) => quote!(channel.call_fallible::<_, #ok, #error>(#index, #wire)),
        (Some(error), true) => quote!(channel.call_fallible_for_bytes::<_, #error>(#index, #wire)),
    }
}

/// The call in another codec: one argument by itself, several with their names.
fn in_codec(codec: Codec, names: &Names<'_>, index: &TokenStream) -> TokenStream {
    let by_name = quote!(::speedysvc::__private::by_name);
    let values: Vec<TokenStream> = names.arguments().map(|(place, argument)| spoken(place, &argument.kind)).collect();
    let keys = names.arguments().map(|(_, argument)| argument.name.unraw().to_string());
    let arguments = match &values[..] {
        [] => quote!(&()),
        [only] => quote!(&#only),
        several => quote!(&#by_name::Named(&[#(#keys),*], (#(#several,)*))),
    };
    let (ok, variant, only) = (names.ok(), codec.variant(), value_ident(0));
    let arguments = match codec {
        Codec::Raw => quote!(&#by_name::Raw(#only)),
        _ => quote!(&#by_name::#variant(#arguments)),
    };
    let read = match names.is_byte_string() {
        true => quote!(::speedysvc::__private::AsBytes),
        false => quote!(::speedysvc::__private::AsValue<#ok>),
    };
    match names.error() {
        None => quote!(channel.call_as::<_, #read>(#index, #arguments)),
        Some(error) => quote!(channel.call_fallible_as::<_, #read, #error>(#index, #arguments)),
    }
}

/// An argument as serde takes it.
fn spoken(place: usize, kind: &Kind) -> TokenStream {
    let (name, base64) = (value_ident(place), base64());
    if kind.is_byte_string() { quote!(#base64(#name)) } else { quote!(#name) }
}

/// An argument as the caller gives it.
fn parameter(argument: &Argument) -> TokenStream {
    let name = &argument.name;
    match &argument.kind {
        Kind::Str => quote!(#name: &::core::primitive::str),
        Kind::Owned(ty) => quote!(#name: #ty),
        kind if kind.is_byte_string() => quote!(#name: &[::core::primitive::u8]),
        Kind::View(ty) | Kind::Shared(ty) => quote!(#name: &#ty),
        Kind::Bytes => unreachable!("a byte string"),
    }
}

/// An argument as the inner function takes it: always borrowed, so that nothing is copied before it is archived.
fn taken(names: &Names<'_>, place: usize, kind: &Kind) -> TokenStream {
    let (name, ty) = (value_ident(place), names.wire(place, kind));
    match kind {
        Kind::Str => quote!(#name: &::core::primitive::str),
        _ if kind.is_byte_string() => quote!(#name: &[::core::primitive::u8]),
        _ => quote!(#name: &#ty),
    }
}

fn wire(place: usize, kind: &Kind) -> TokenStream {
    let name = value_ident(place);
    match kind {
        Kind::Str => quote!(::speedysvc::__private::archive::Str(#name)),
        _ if kind.is_byte_string() => quote!(::speedysvc::__private::archive::Bytes(#name)),
        _ => quote!(::speedysvc::__private::archive::Ref(#name)),
    }
}

/// The trait's doc comments, and what is true of every call.
fn documentation(method: &Method, how: How) -> TokenStream {
    let Method { name, docs, carried, output, .. } = method;
    let verb = if how == How::Wait { "Calls" } else { "Starts" };
    let summary = docs.is_empty().then(|| format!(" {verb} `{name}`."));
    let summary = summary.map(|text| quote!(#[doc = #text]));
    if how == How::Start {
        return quote!(#(#carried)* #summary);
    }
    let when = if output.error.is_some() { " The method's own error, or a failed call." } else { " A failed call." };
    let errors = (!docs.contains("# Errors")).then(|| {
        quote! {
            #[doc = ""]
            #[doc = " # Errors"]
            #[doc = #when]
        }
    });
    quote!(#(#carried)* #summary #errors)
}

#[cfg(test)]
mod tests {
    use syn::{ImplItem, Item, ItemImpl};

    use super::*;
    use crate::{declaration, text};

    fn client(text: &str) -> ItemImpl {
        let declared = declaration::read(TokenStream::new(), &syn::parse_str(text).unwrap()).unwrap();
        let file: syn::File = syn::parse2(generate(&declared)).unwrap();
        let found = file.items.into_iter().find_map(|item| match item {
            Item::Impl(item) => Some(item),
            _ => None,
        });
        found.expect("the client has methods")
    }

    #[test]
    fn a_client_offers_what_is_listed() {
        let listing = include_str!("../../../docs/public-api.txt");
        let offered = client("trait Name { fn own(&self); }").items.into_iter().filter_map(|item| match item {
            ImplItem::Fn(method) => Some(method.sig.ident.to_string()),
            _ => None,
        });
        let mut listed: Vec<&str> = listing.lines().filter_map(|line| line.strip_prefix("#   NameClient::")).collect();
        listed.iter_mut().for_each(|name| *name = name.split(',').next().unwrap_or(name));
        listed.push("own");
        assert_eq!(offered.collect::<Vec<_>>(), listed);
    }

    #[test]
    fn docs_are_carried_over_and_say_how_calls_fail() {
        let client = client(
            "trait Echo { /** Says it. */ #[deprecated] #[inline] fn a(&self); fn b(&self) -> Result<u8, u8>; }",
        );
        let methods: Vec<_> = client
            .items
            .iter()
            .filter_map(|item| match item {
                ImplItem::Fn(method) => Some((method.sig.ident.to_string(), text::docs(&method.attrs), &method.attrs)),
                _ => None,
            })
            .collect();
        let docs = |name: &str| methods.iter().find(|(method, ..)| method == name).map(|(_, docs, _)| docs.as_str());
        assert_eq!(docs("a"), Some("Says it.\n\n# Errors\nA failed call."));
        assert_eq!(docs("b"), Some("Calls `b`.\n\n# Errors\nThe method's own error, or a failed call."));
        let of_a = methods.iter().filter(|(method, ..)| method == "a").flat_map(|(.., attributes)| attributes.iter());
        let kept: Vec<_> = of_a.filter(|attribute| !attribute.path().is_ident("doc")).collect();
        assert!(kept.len() == 1 && kept[0].path().is_ident("deprecated"));
    }
}
