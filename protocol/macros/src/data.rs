//! `#[speedysvc::data]`: the derives that let a type travel, pointed at the crates behind `speedysvc`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Fields, Generics, Item, Path, Result, Token};

use crate::refused;

const DERIVED: &[&str] = &["Archive", "Serialize", "Deserialize", "JsonSchema"];

pub fn generate(settings: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !settings.is_empty() {
        return Err(Error::new_spanned(settings, "#[speedysvc::data] takes nothing in brackets"));
    }
    check(&syn::parse2(item.clone())?)?;
    // Before the item's own attributes: `#[serde(...)]` is known to the compiler below its derive only.
    Ok(quote! {
        #[derive(
            ::speedysvc::__private::rkyv::Archive,
            ::speedysvc::__private::rkyv::Serialize,
            ::speedysvc::__private::rkyv::Deserialize,
            ::speedysvc::__private::serde::Serialize,
            ::speedysvc::__private::serde::Deserialize,
            ::speedysvc::__private::schemars::JsonSchema,
        )]
        #[rkyv(crate = ::speedysvc::__private::rkyv)]
        #[serde(crate = "::speedysvc::__private::serde")]
        #[schemars(crate = "::speedysvc::__private::schemars")]
        #item
    })
}

fn check(item: &Item) -> Result<()> {
    match item {
        Item::Struct(item) => check_type(&item.attrs, &item.generics, &[&item.fields]),
        Item::Enum(item) if item.variants.is_empty() => {
            Err(Error::new_spanned(&item.ident, "an enum without variants has no value that could travel"))
        }
        Item::Enum(item) => {
            let fields: Vec<&Fields> = item.variants.iter().map(|variant| &variant.fields).collect();
            check_type(&item.attrs, &item.generics, &fields)
        }
        Item::Union(item) => {
            Err(Error::new_spanned(item.union_token, "nobody can tell what a union holds: use an enum"))
        }
        other => Err(Error::new_spanned(other, "#[speedysvc::data] goes on a struct or an enum")),
    }
}

fn check_type(attributes: &[Attribute], generics: &Generics, fields: &[&Fields]) -> Result<()> {
    let borrowed = generics.lifetimes().next().map(|lifetime| {
        Error::new_spanned(lifetime, "a type that borrows cannot travel in a call: own it, as String or Vec<T>")
    });
    let twice = attributes.iter().find_map(derived_twice);
    let found = fields.iter().flat_map(|fields| fields.iter()).filter_map(|field| refused::in_field(&field.ty));
    let all = borrowed.into_iter().chain(twice).chain(found).reduce(|mut errors, error| {
        errors.combine(error);
        errors
    });
    all.map_or(Ok(()), Err)
}

fn derived_twice(attribute: &Attribute) -> Option<Error> {
    if !attribute.path().is_ident("derive") {
        return None;
    }
    let derives = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok()?;
    let is_ours = |path: &&Path| path.segments.last().is_some_and(|last| DERIVED.iter().any(|name| last.ident == name));
    derives.iter().find(is_ours).map(|path| Error::new_spanned(path, "#[speedysvc::data] derives this: leave it out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(item: &str) -> Option<String> {
        check(&syn::parse_str(item).unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn what_cannot_travel_is_refused() {
        let refused = [
            ("union Bits { a: u8 }", "use an enum"),
            ("enum Never {}", "without variants"),
            ("struct Text<'a>(&'a str);", "own it"),
            ("enum Shared { One, Two { inner: Option<std::rc::Rc<u8>> } }", "Box"),
            ("#[derive(Debug, serde::Serialize)] struct Twice;", "leave it out"),
            ("fn f() {}", "struct or an enum"),
        ];
        for (item, expected) in refused {
            let message = message(item).unwrap_or_default();
            assert!(message.contains(expected), "{item}: {message}");
        }
        assert_eq!(message("#[derive(Debug)] struct Page<T> { items: Vec<T> }"), None);
    }

    #[test]
    fn the_derives_come_before_what_belongs_to_them() {
        let item = quote!(
            #[serde(rename = "x")]
            struct One;
        );
        let text = generate(&TokenStream::new(), item).unwrap().to_string();
        assert!(text.starts_with("# [derive") && text.find("rename") > text.find("JsonSchema"), "{text}");
    }
}
