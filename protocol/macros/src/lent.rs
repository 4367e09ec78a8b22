//! Results that are lent: written from where they are, by the handler or by its caller, and given to nobody.
//!
//! What is lent lives as long as the service, which is what a lifetime that is left out says, or as long as an
//! argument that is a view into the call's bytes. The caller gets a value of its own in any case.

use syn::{Error, GenericParam, Lifetime, Receiver, ReceiverKind, Result, Signature, Type, TypeReference, parse_quote};

use crate::refused;
use crate::types::{Argument, Kind, generic_of, is_u8, last_segment, peel};

/// How a result is lent.
pub struct Lent {
    pub what: What,
    /// Of the arguments in one of which it lies; the service's own without one.
    pub lifetime: Option<Lifetime>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `&str`.
    Str,
    /// `&[u8]`.
    Bytes,
    /// `&T`.
    Value,
}

impl Lent {
    /// What this reference lends, and what its caller gets.
    pub fn of(reference: &TypeReference) -> Result<(Self, Type)> {
        if reference.mutability.is_some() {
            return Err(Error::new_spanned(reference, "a result is lent to be sent, and not to be changed: `&T`"));
        }
        let (what, owned) = match peel(&reference.elem) {
            Type::Path(path) if path.path.is_ident("str") => (What::Str, parse_quote!(::std::string::String)),
            Type::Slice(slice) if is_u8(&slice.elem) => (What::Bytes, parse_quote!(::std::vec::Vec<u8>)),
            Type::Slice(slice) => {
                return Err(Error::new_spanned(slice, "of slices, only &[u8] is lent: lend the `&Vec<T>`"));
            }
            target => (What::Value, of_value(target)?),
        };
        let lifetime = reference.lifetime.clone().filter(|lifetime| lifetime.ident != "_" && !is_static(lifetime));
        Ok((Self { what, lifetime }, owned))
    }

    /// Whether it may lie in the call's own bytes.
    pub fn is_of_an_argument(&self) -> bool {
        self.lifetime.is_some()
    }
}

fn of_value(ty: &Type) -> Result<Type> {
    if generic_of(ty, "Archived").is_none() && last_segment(ty).is_some_and(|last| last.ident == "Result") {
        return Err(Error::new_spanned(ty, "lend what is good of it, and give the error: `Result<&T, E>`"));
    }
    refused::in_result(ty).map_or_else(|| Ok(ty.clone()), Err)
}

fn is_static(lifetime: &Lifetime) -> bool {
    lifetime.ident == "static"
}

/// Whether each lifetime of a method is that of its lent result, and that belongs to something. A lifetime that is the
/// service's alone is left out of what is lent.
pub fn check(signature: &Signature, arguments: &[Argument], lent: Option<&mut Lent>) -> Result<()> {
    let lifetime = lent.as_ref().and_then(|lent| lent.lifetime.clone());
    let is_lent = |other: &Lifetime| lifetime.as_ref() == Some(other);
    let others = arguments.iter().filter_map(|argument| argument.lifetime.as_ref()).find(|other| !is_lent(other));
    if let Some(other) = others {
        let message = "an argument lives as long as its call: leave the lifetime out, or take an owned value";
        return Err(Error::new_spanned(other, message));
    }
    if let Some(other) = signature.receiver().and_then(lifetime_of).filter(|other| !is_lent(other)) {
        return Err(Error::new_spanned(other, "the service lives as long as it is called: leave the lifetime out"));
    }
    let (Some(lent), Some(lifetime)) = (lent, lifetime) else { return Ok(()) };
    let is_declared =
        |parameter: &GenericParam| matches!(parameter, GenericParam::Lifetime(it) if it.lifetime == lifetime);
    if !signature.generics.params.iter().any(is_declared) {
        let message = "declare the lifetime on the method, and put it on the argument that is lent from: \
                       `fn echo<'a>(&self, bytes: &'a [u8]) -> &'a [u8]`";
        return Err(Error::new_spanned(lifetime, message));
    }
    let lenders = arguments.iter().filter(|argument| argument.lifetime.is_some());
    if let Some(made) = lenders.clone().find(|argument| matches!(argument.kind, Kind::Shared(_))) {
        let message = "a result is lent from a view (`&str`, `&[u8]`, `&Archived<T>`); this value is made for the \
                       call: take it by value, and give what is made of it";
        return Err(Error::new_spanned(&made.lifetime, message));
    }
    match (lenders.count(), signature.receiver().and_then(lifetime_of)) {
        (0, None) => {
            let message = "no argument has this lifetime: leave it out, and the service lends the result";
            Err(Error::new_spanned(lifetime, message))
        }
        (0, Some(_)) => {
            lent.lifetime = None;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The lifetime that is written in `&'a self`.
pub fn lifetime_of(receiver: &Receiver) -> Option<&Lifetime> {
    match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, _) => lifetime.as_ref().filter(|lifetime| lifetime.ident != "_"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;
    use crate::types::Output;

    /// What a method lends, as its caller gets it, and the lifetime; or what is wrong.
    fn lends(method: &str) -> std::result::Result<Option<(String, Option<String>)>, String> {
        let method: syn::TraitItemFn = syn::parse_str(method).unwrap();
        let declared =
            crate::declaration::read(proc_macro2::TokenStream::new(), &parse_quote!(trait Lends { #method }));
        let method = declared.map_err(|error| error.to_string())?.methods.remove(0);
        let Output { ok, lent, .. } = method.output;
        let ok = ok.to_token_stream().to_string().replace(' ', "");
        Ok(lent.map(|lent| (ok, lent.lifetime.map(|lifetime| lifetime.to_string()))))
    }

    #[test]
    fn who_lends_is_told_by_the_lifetime() {
        let (text, bytes) = ("::std::string::String", "::std::vec::Vec<u8>");
        for (method, ok, lifetime) in [
            ("fn a(&self) -> &str;", text, None),
            ("fn a(&self, key: &str) -> &'_ [u8];", bytes, None),
            ("fn a(&self) -> &'static str;", text, None),
            ("fn a(&self) -> Result<&(Vec<u8>), u8>;", "Vec<u8>", None),
            ("fn a<'a>(&'a self) -> &'a Row;", "Row", None),
            ("fn a<'a>(&self, key: &str, bytes: &'a [u8]) -> &'a [u8];", bytes, Some("'a")),
            ("fn a<'x>(&'x self, bytes: &'x Archived<Row>) -> Result<&'x str, u8>;", text, Some("'x")),
        ] {
            let expected = (ok.to_owned(), lifetime.map(str::to_owned));
            assert_eq!(lends(method), Ok(Some(expected)), "{method}");
        }
        assert_eq!(lends("fn a(&self, key: &str) -> String;"), Ok(None));
    }

    #[test]
    fn what_cannot_be_lent_is_refused() {
        for (method, why) in [
            ("fn a(&self) -> &mut Row;", "not to be changed"),
            ("fn a(&self) -> &[u64];", "lend the `&Vec<T>`"),
            ("fn a(&self) -> &Result<u8, u8>;", "`Result<&T, E>`"),
            ("fn a(&self) -> Vec<&Row>;", "own what stands inside"),
            ("fn a(&self) -> Result<u8, &Row>;", "own what stands inside"),
            ("fn a(&self) -> &&str;", "own what stands inside"),
            ("fn a(&self) -> &Row<'static>;", "own what stands inside"),
            ("fn a(&self) -> &Archived<Row>;", "for arguments only"),
            ("fn a(&self, key: &str) -> &'a str;", "declare the lifetime"),
            ("fn a<'a>(&self, key: &str) -> &'a str;", "no argument has this lifetime"),
            ("fn a<'a>(&self, key: &'a String) -> &'a str;", "made for the call"),
            ("fn a(&self, key: &'static str) -> &'static str;", "leave the lifetime out"),
            ("fn a<'a>(&self, key: &'a str) -> &str;", "has no generics"),
            ("fn a<'a, 'b>(&self, key: &'a str, b: &'b str) -> &'a str;", "has no generics"),
            ("fn a<'a: 'static>(&self, key: &'a str) -> &'a str;", "has no generics"),
            ("fn a<'a>(&'a self, key: &str) -> String;", "has no generics"),
        ] {
            let error = lends(method).unwrap_err();
            assert!(error.contains(why), "{method}: {error}");
        }
    }
}
