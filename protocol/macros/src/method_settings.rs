//! What stands in the brackets of `#[method(...)]` on a method of a trait.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, FnArg, ItemTrait, LitStr, Meta, Result, Signature, TraitItem, parse_quote};

use crate::codec::{self, Codec};

const KEYS: &str = "its keys are `idempotent`, `blocking`, `runtime` and `codec`";

const TWICE: &str = "this key is given twice";

/// What a method is besides its signature.
#[derive(Default)]
pub struct MethodSettings {
    /// Running it twice does no more than running it once.
    pub idempotent: bool,
    /// It runs on a thread beside the loop.
    pub blocking: bool,
    /// It is polled by tokio; where that was said.
    pub tokio: Option<Span>,
    /// How the generated client writes its calls; where that was said.
    pub codec: Option<(Codec, Span)>,
}

impl MethodSettings {
    /// Whether they fit a method that is, or is not, an `async fn`.
    pub fn check(&self, signature: &Signature) -> Result<()> {
        let at_name = |message| Err(Error::new_spanned(&signature.ident, message));
        match (signature.asyncness.is_some(), self.tokio) {
            (true, _) if self.blocking => at_name("an `async fn` must not block: leave out `async`, or `blocking`"),
            (false, Some(place)) => {
                let message = "a runtime polls an `async fn`: make it one; what blocks is #[method(blocking)]";
                Err(Error::new(place, message))
            }
            _ => Ok(()),
        }
    }

    /// How the generated client writes its calls.
    pub fn codec(&self) -> Codec {
        self.codec.map(|(codec, _)| codec).unwrap_or_default()
    }

    /// The variant of `contract::Runs`.
    pub fn runs(&self, is_async: bool) -> TokenStream {
        match (is_async, self.tokio.is_some(), self.blocking) {
            (true, true, _) => quote!(Tokio),
            (true, false, _) => quote!(Async),
            (false, _, true) => quote!(Blocking),
            (false, ..) => quote!(OnTheLoop),
        }
    }
}

/// Reads all `#[method(...)]` of a method.
pub fn read(attributes: &[Attribute]) -> Result<MethodSettings> {
    let mut settings = MethodSettings::default();
    for attribute in attributes.iter().filter(|attribute| is_ours(attribute)) {
        if !matches!(attribute.meta, Meta::List(_)) {
            return Err(Error::new_spanned(attribute, format!("write #[method(...)]; {KEYS}")));
        }
        attribute.parse_nested_meta(|meta| read_key(&mut settings, &meta))?;
    }
    Ok(settings)
}

fn read_key(settings: &mut MethodSettings, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.path.is_ident("idempotent") {
        return flag(&mut settings.idempotent, meta);
    }
    if meta.path.is_ident("blocking") {
        return flag(&mut settings.blocking, meta);
    }
    if meta.path.is_ident("runtime") {
        return runtime(&mut settings.tokio, meta);
    }
    if meta.path.is_ident("codec") {
        let name: Result<LitStr> = meta.value().and_then(|value| value.parse());
        let name = name.map_err(|error| Error::new(error.span(), "write a name in quotes: `codec = \"json\"`"))?;
        let codec = (codec::named(&name)?, name.span());
        return if settings.codec.replace(codec).is_some() { Err(meta.error(TWICE)) } else { Ok(()) };
    }
    let key = meta.path.get_ident().map_or_else(|| "this".to_owned(), |key| format!("`{key}`"));
    Err(meta.error(format!("{key} is no key of #[method]; {KEYS}")))
}

fn flag(flag: &mut bool, meta: &ParseNestedMeta<'_>) -> Result<()> {
    if !meta.input.is_empty() && !meta.input.peek(syn::Token![,]) {
        return Err(meta.error("this key has no value: it stands there, or it does not"));
    }
    if std::mem::replace(flag, true) { Err(meta.error(TWICE)) } else { Ok(()) }
}

fn runtime(tokio: &mut Option<Span>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    let name: LitStr = meta.value()?.parse()?;
    if name.value() != "tokio" {
        let message = "the only runtime is \"tokio\"; without this key an `async fn` is polled on the loop's thread";
        return Err(Error::new(name.span(), message));
    }
    if tokio.replace(name.span()).is_some() { Err(meta.error(TWICE)) } else { Ok(()) }
}

/// The trait as it stays: the compiler knows no attributes `method` and `default`.
pub fn without(mut item: ItemTrait) -> ItemTrait {
    let mut is_async = false;
    for item in &mut item.items {
        if let TraitItem::Fn(method) = item {
            is_async |= method.sig.asyncness.is_some();
            method.attrs.retain(|attribute| !is_ours(attribute));
            method.sig.inputs.iter_mut().for_each(without_default);
        }
    }
    if is_async {
        item.attrs
            .push(parse_quote!(#[allow(async_fn_in_trait, reason = "a handler stays on the thread that polls it")]));
    }
    item
}

fn without_default(input: &mut FnArg) {
    if let FnArg::Typed(typed) = input {
        typed.attrs.retain(|attribute| !attribute.path().is_ident("default"));
    }
}

/// The same for an item that may be anything.
pub fn without_in(item: TokenStream) -> TokenStream {
    match syn::parse2::<ItemTrait>(item.clone()) {
        Ok(parsed) => without(parsed).into_token_stream(),
        Err(_) => item,
    }
}

fn is_ours(attribute: &Attribute) -> bool {
    attribute.path().is_ident("method")
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn read_of(method: &syn::TraitItemFn) -> std::result::Result<bool, String> {
        read(&method.attrs).map(|settings| settings.idempotent).map_err(|error| error.to_string())
    }

    #[test]
    fn a_method_is_idempotent_when_it_says_so() {
        assert_eq!(
            read_of(&parse_quote!(
                fn a(&self);
            )),
            Ok(false)
        );
        assert_eq!(
            read_of(&parse_quote!(
                #[method(idempotent)]
                fn a(&self);
            )),
            Ok(true)
        );
        assert_eq!(
            read_of(&parse_quote!(
                #[method()]
                #[method(idempotent)]
                fn a(&self);
            )),
            Ok(true)
        );
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let refused: [(syn::TraitItemFn, &str); 5] = [
            (
                parse_quote!(
                    #[method]
                    fn a(&self);
                ),
                "write #[method(...)]",
            ),
            (
                parse_quote!(
                    #[method = "idempotent"]
                    fn a(&self);
                ),
                "write #[method(...)]",
            ),
            (
                parse_quote!(
                    #[method(idempotant)]
                    fn a(&self);
                ),
                "`idempotant` is no key",
            ),
            (
                parse_quote!(
                    #[method(idempotent, idempotent)]
                    fn a(&self);
                ),
                "twice",
            ),
            (
                parse_quote!(
                    #[method(idempotent = true)]
                    fn a(&self);
                ),
                "no value",
            ),
        ];
        for (method, why) in refused {
            let error = read_of(&method).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_attribute_does_not_reach_the_compiler() {
        let item: ItemTrait = parse_quote! {
            trait Echo {
                /// Says it.
                #[method(idempotent)]
                fn echo(&self);
            }
        };
        let left = without(item).to_token_stream().to_string();
        assert!(left.contains("Says it") && !left.contains("idempotent"), "{left}");
    }
}
