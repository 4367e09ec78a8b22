//! What stands in the brackets of `#[speedysvc::service(...)]` on a trait.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::{Error, LitInt, LitStr, Result};

use crate::text::kebab_case;

/// Longest name of a service or method, as `speedysvc_protocol::limits::NAME_MAX` says.
pub const NAME_MAX: usize = 48;

pub struct Settings {
    pub name: String,
    pub version: u32,
}

/// Reads `name = "...", version = 1`; the name follows from the trait's when it is not given.
pub fn read(settings: TokenStream, trait_name: &syn::Ident) -> Result<Settings> {
    let (mut name, mut version) = (None, None);
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("name") {
            once(&mut name, meta.value()?.parse::<LitStr>()?, &meta)
        } else if meta.path.is_ident("version") {
            once(&mut version, meta.value()?.parse::<LitInt>()?, &meta)
        } else {
            let key = meta.path.get_ident().map_or_else(|| "this".to_owned(), |key| format!("`{key}`"));
            Err(meta.error(format!("{key} is no key of #[speedysvc::service]; its keys are `name` and `version`")))
        }
    });
    parser.parse2(settings)?;
    let version = version.map_or(Ok(1), |version: LitInt| version.base10_parse())?;
    let (name, place) = match name {
        Some(name) => (name.value(), name.span()),
        None => (kebab_case(&trait_name.to_string()), trait_name.span()),
    };
    check_name(&name, place)?;
    Ok(Settings { name, version })
}

fn once<T>(slot: &mut Option<T>, value: T, meta: &syn::meta::ParseNestedMeta<'_>) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("this key is given twice")),
    }
}

/// The rule of the configuration file: `[a-z][a-z0-9_-]{0,47}`.
fn check_name(name: &str, place: Span) -> Result<()> {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts_well && name.chars().all(is_good) && name.len() <= NAME_MAX {
        return Ok(());
    }
    let message = format!(
        "`{name}` is no name of a service: at most {NAME_MAX} lower-case letters, digits, `-` and `_`, with a letter \
         first; give one as #[speedysvc::service(name = \"...\")]"
    );
    Err(Error::new(place, message))
}

#[cfg(test)]
mod tests {
    use quote::{format_ident, quote};

    use super::*;

    fn read_for(name: &str, settings: TokenStream) -> std::result::Result<(String, u32), String> {
        let read = read(settings, &format_ident!("{name}"));
        read.map(|settings| (settings.name, settings.version)).map_err(|error| error.to_string())
    }

    #[test]
    fn both_keys_may_be_left_out() {
        assert_eq!(read_for("ThumbnailMaker", quote!()), Ok(("thumbnail-maker".into(), 1)));
        assert_eq!(read_for("Echo", quote!(version = 7, name = "echo_2",)), Ok(("echo_2".into(), 7)));
    }

    #[test]
    fn other_keys_are_answered_with_the_list() {
        let error = read_for("Echo", quote!(nam = "echo")).unwrap_err();
        assert!(error.contains("`nam`") && error.contains("`name` and `version`"), "{error}");
        assert!(read_for("Echo", quote!(version = 1, version = 2)).unwrap_err().contains("twice"));
        assert!(read_for("Echo", quote!(version = -1)).is_err());
    }

    #[test]
    fn names_are_those_that_the_configuration_takes() {
        for bad in ["", "Echo", "1st", "a b", &"a".repeat(NAME_MAX + 1)] {
            assert!(read_for("Echo", quote!(name = #bad)).unwrap_err().contains("no name of a service"), "{bad}");
        }
        assert!(
            read_for("Echo", {
                let name = "a".repeat(NAME_MAX);
                quote!(name = #name)
            })
            .is_ok()
        );
    }
}
