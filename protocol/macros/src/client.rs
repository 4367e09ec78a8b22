//! The caller's side: `EchoClient` with the trait's methods.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;

use crate::declaration::{Declaration, Method};
use crate::generic::{Names, value_ident};
use crate::spec::service_ident;
use crate::types::{Argument, Kind};

pub fn generate(declared: &Declaration) -> TokenStream {
    let Declaration { visibility, ident, settings, carried, methods, .. } = declared;
    let (service, trait_name) = (service_ident(ident), ident.unraw());
    let client = format_ident!("{}Client", trait_name, span = ident.span());
    let about = format!("Calls a service that implements [`{trait_name}`]. Clones share their connection.");
    let connect = format!("Connects to the service at `address`, such as `shm://{}`.", settings.name);
    let calls = methods.iter().map(|method| call(declared, method));
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
            #[doc = #connect]
            ///
            /// # Errors
            /// When no service answers there, or its contract is another than this program was built with.
            pub fn connect(address: &str) -> ::core::result::Result<Self, ::speedysvc::__private::Error> {
                let channel = ::speedysvc::__private::Channel::connect(#service::contract(), address)?;
                ::core::result::Result::Ok(Self { channel })
            }

            /// The same client with another time limit for each call.
            #[must_use]
            pub fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
                Self { channel: self.channel.with_timeout(timeout) }
            }

            #(#calls)*
        }
    }
}

/// One function for each method, and inside it the one that archives the arguments and calls.
fn call(declared: &Declaration, method: &Method) -> TokenStream {
    let Method { ident, arguments, output, .. } = method;
    let (names, docs) = (Names::of(declared, method), documentation(method));
    let parameters = arguments.iter().map(parameter);
    let ok = output.ok.as_ref().map_or_else(|| quote!(()), ToTokens::to_token_stream);
    let result = result(&ok, output.error.as_ref());
    let inner = inner_call(method, &names);
    let service = service_ident(&declared.ident);
    let given = arguments.iter().map(|argument| {
        let (name, by) = (&argument.name, matches!(argument.kind, Kind::Owned(_)).then(|| quote!(&)));
        quote!(#by #name)
    });
    quote! {
        #docs
        pub fn #ident(&self, #(#parameters),*) -> #result {
            #inner
            typed::<#service>(&self.channel, #(#given),*)
        }
    }
}

fn inner_call(method: &Method, names: &Names<'_>) -> TokenStream {
    let index = Literal::usize_unsuffixed(method.index);
    let index = quote!(::speedysvc::__private::ids::MethodIndex(#index));
    let wire = names.arguments().map(|(place, argument)| wire(place, &argument.kind));
    let (ok, error, wire) = (names.ok(), names.error(), quote!(&(#(#wire,)*)));
    let body = match &error {
        None => quote!(channel.call::<_, #ok>(#index, #wire)),
        Some(error) => quote!(channel.call_fallible::<_, #ok, #error>(#index, #wire)),
    };
    let (generics, result) = (names.generics(), result(&ok, error.as_ref()));
    let taken = names.arguments().map(|(place, argument)| taken(names, place, &argument.kind));
    quote! {
        fn typed #generics(channel: &::speedysvc::__private::Channel, #(#taken),*) -> #result {
            #body
        }
    }
}

fn result(ok: &TokenStream, error: Option<&impl ToTokens>) -> TokenStream {
    match error {
        None => quote!(::core::result::Result<#ok, ::speedysvc::__private::Error>),
        Some(error) => quote!(::core::result::Result<#ok, ::speedysvc::__private::CallError<#error>>),
    }
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
fn documentation(method: &Method) -> TokenStream {
    let Method { name, docs, carried, output, .. } = method;
    let summary = docs.is_empty().then(|| format!(" Calls `{name}`."));
    let summary = summary.map(|text| quote!(#[doc = #text]));
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
        let kept: Vec<_> = methods[2].2.iter().filter(|attribute| !attribute.path().is_ident("doc")).collect();
        assert!(kept.len() == 1 && kept[0].path().is_ident("deprecated"));
    }
}
