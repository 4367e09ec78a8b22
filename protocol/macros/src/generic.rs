//! How a missing `#[speedysvc::data]` becomes one error, at the user's type.
//!
//! The user's types become associated types of a hidden trait, which are bound to be values. Whatever is generated for
//! a method stands in an inner function over that trait, in which nothing can be wrong about a type. And each type gets
//! there through `__CanTravel`: one that cannot is refused there, in the words of `Value`, and is no type at all to
//! whatever comes after. Without this, one forgotten attribute gave 950 lines of errors about rkyv and serde.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::declaration::{Declaration, Method};
use crate::spec::service_ident;
use crate::types::{Argument, Kind, is_byte_vector};

/// `trait __EchoTypes { type M0A0: Value; }`, and what each of these types is.
pub fn generate(declared: &Declaration) -> TokenStream {
    let (types, service) = (trait_ident(&declared.ident), service_ident(&declared.ident));
    let named = declared.methods.iter().flat_map(|method| Names::of(declared, method).own());
    let named = named.map(|(name, ty)| (name, quote_spanned!(ty.span()=> <#ty as __CanTravel>::Itself)));
    let (names, values): (Vec<_>, Vec<_>) = named.unzip();
    quote! {
        #[allow(dead_code, reason = "a program may use one side of a service only")]
        trait #types {
            #(type #names: ::speedysvc::__private::service::Value;)*
        }

        const _: () = {
            trait __CanTravel {
                type Itself;
            }

            #[diagnostic::do_not_recommend]
            impl<T: ::speedysvc::__private::service::Value> __CanTravel for T {
                type Itself = T;
            }

            impl #types for #service {
                #(type #names = #values;)*
            }
        };
    }
}

fn trait_ident(service: &Ident) -> Ident {
    format_ident!("__{}Types", service.unraw())
}

/// What the types of a method are called in an inner function.
pub struct Names<'a> {
    types: Ident,
    service: Ident,
    method: &'a Method,
}

impl<'a> Names<'a> {
    pub fn of(declared: &Declaration, method: &'a Method) -> Self {
        Self { types: trait_ident(&declared.ident), service: service_ident(&declared.ident), method }
    }

    /// The type that holds what both sides agree on.
    pub fn service(&self) -> &Ident {
        &self.service
    }

    /// The generics of an inner function; it is called for the service.
    pub fn generics(&self) -> TokenStream {
        let types = &self.types;
        quote!(<S: #types>)
    }

    /// The hidden trait.
    pub fn types(&self) -> &Ident {
        &self.types
    }

    /// The user's types with their names.
    fn own(&self) -> impl Iterator<Item = (Ident, &'a Type)> + use<'a> {
        let method = self.method;
        let arguments = self.arguments().filter_map(|(place, argument)| Some((place, argument.kind.value()?)));
        let arguments = arguments.map(|(place, ty)| (argument_ident(method, place), ty));
        let ok = method.output.ok.iter().filter(|ok| !is_byte_vector(ok)).map(|ok| (ok_ident(method), ok));
        let error = method.output.error.iter().map(|error| (error_ident(method), error));
        arguments.chain(ok).chain(error)
    }

    /// The arguments with their places.
    pub fn arguments(&self) -> impl Iterator<Item = (usize, &'a Argument)> + use<'a> {
        self.method.arguments.iter().enumerate()
    }

    /// The type whose archive travels.
    pub fn wire(&self, place: usize, kind: &Kind) -> TokenStream {
        match kind {
            Kind::Str => quote!(::std::string::String),
            _ if kind.is_byte_string() => quote!(::std::vec::Vec<u8>),
            _ => {
                let name = argument_ident(self.method, place);
                quote!(S::#name)
            }
        }
    }

    /// The type that JSON is read as, and that the schema shows.
    pub fn json(&self, place: usize, kind: &Kind) -> TokenStream {
        if kind.is_byte_string() { base64() } else { self.wire(place, kind) }
    }

    /// What a good call gives.
    pub fn ok(&self) -> TokenStream {
        match &self.method.output.ok {
            None => quote!(()),
            Some(_) if self.is_byte_string() => quote!(::std::vec::Vec<u8>),
            Some(_) => {
                let name = ok_ident(self.method);
                quote!(S::#name)
            }
        }
    }

    /// Whether a good call gives bytes.
    pub fn is_byte_string(&self) -> bool {
        self.method.output.ok.as_ref().is_some_and(is_byte_vector)
    }

    /// Whether the method takes one byte string and gives one.
    pub fn has_raw_form(&self) -> bool {
        self.is_one_byte_string() && self.is_byte_string()
    }

    /// Whether a call's only argument is bytes.
    pub fn is_one_byte_string(&self) -> bool {
        matches!(&self.method.arguments[..], [one] if one.kind.is_byte_string())
    }

    /// The method's own error.
    pub fn error(&self) -> Option<TokenStream> {
        let name = error_ident(self.method);
        self.method.output.error.as_ref().map(|_| quote!(S::#name))
    }
}

pub fn base64() -> TokenStream {
    quote!(::speedysvc::__private::json::Base64)
}

/// The name of an argument's value in an inner function.
pub fn value_ident(place: usize) -> Ident {
    format_ident!("a{place}")
}

fn argument_ident(method: &Method, place: usize) -> Ident {
    format_ident!("M{}A{place}", method.index)
}

fn ok_ident(method: &Method) -> Ident {
    format_ident!("M{}Ok", method.index)
}

fn error_ident(method: &Method) -> Ident {
    format_ident!("M{}Err", method.index)
}
