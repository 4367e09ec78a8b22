//! What cannot travel in a call, found by its name in a type as it was written, and what to use instead.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Error, Type};

const SHARED: &str = "shared pointers cannot travel in a call: send the value itself, or `Box` it";
const MAP: &str = "a HashMap cannot travel in a call: use BTreeMap, whose order is the same in every process";
const SET: &str = "a HashSet cannot travel in a call: use BTreeSet, whose order is the same in every process";
const BORROWED: &str = "a type that borrows cannot travel in a call: own it, as String or Vec<T>";
const BORROWED_INSIDE: &str =
    "only a result itself is lent (`&T`, `Result<&T, E>`): own what stands inside another type";
const ARCHIVED: &str = "an archived view is for arguments only, and only as the whole of it: `&Archived<T>`";
const SELF: &str = "the caller does not know `Self`: name a type that both programs know";
const OPEN: &str = "both programs must know the type exactly: name one type, such as an enum, instead of a trait";

/// What makes this field of a struct or enum unable to travel.
pub fn in_field(ty: &Type) -> Option<Error> {
    find(ty.to_token_stream(), BORROWED, &pointer_or_map)
}

/// What makes this type unable to travel as an argument.
pub fn in_method(ty: &Type) -> Option<Error> {
    find(ty.to_token_stream(), BORROWED, &in_signature)
}

/// What makes this type unable to travel as a result.
pub fn in_result(ty: &Type) -> Option<Error> {
    find(ty.to_token_stream(), BORROWED_INSIDE, &in_signature)
}

fn in_signature(word: &str) -> Option<&'static str> {
    pointer_or_map(word).or_else(|| unknown_to_the_caller(word))
}

fn pointer_or_map(word: &str) -> Option<&'static str> {
    match word {
        "Rc" | "Arc" | "Weak" => Some(SHARED),
        "HashMap" => Some(MAP),
        "HashSet" => Some(SET),
        _ => None,
    }
}

fn unknown_to_the_caller(word: &str) -> Option<&'static str> {
    match word {
        "Archived" => Some(ARCHIVED),
        "Self" => Some(SELF),
        "dyn" | "impl" => Some(OPEN),
        _ => None,
    }
}

fn find(tokens: TokenStream, borrowed: &str, judge: &dyn Fn(&str) -> Option<&'static str>) -> Option<Error> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(word) => judge_word(&word, judge),
        TokenTree::Group(group) => find(group.stream(), borrowed, judge),
        TokenTree::Punct(mark) if matches!(mark.as_char(), '&' | '\'') => Some(Error::new(mark.span(), borrowed)),
        _ => None,
    })
}

fn judge_word(word: &Ident, judge: &dyn Fn(&str) -> Option<&'static str>) -> Option<Error> {
    judge(&word.to_string()).map(|message| Error::new(word.span(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(ty: &str, find: fn(&Type) -> Option<Error>) -> Option<String> {
        find(&syn::parse_str(ty).unwrap()).map(|error| error.to_string())
    }

    #[test]
    fn what_cannot_travel_is_found_at_any_depth() {
        let refused = [
            ("Option<std::sync::Arc<u8>>", SHARED),
            ("(u8, [Rc<u8>; 2])", SHARED),
            ("Vec<HashMap<u8, u8>>", MAP),
            ("HashSet<u8>", SET),
            ("Cow<'static, str>", BORROWED),
            ("Vec<&u8>", BORROWED),
        ];
        for (ty, expected) in refused {
            assert_eq!(message(ty, in_field).as_deref(), Some(expected), "{ty}");
            assert_eq!(message(ty, in_method).as_deref(), Some(expected), "{ty}");
        }
    }

    #[test]
    fn what_only_one_side_knows_is_refused_in_methods() {
        let refused = [("Vec<Archived<u8>>", ARCHIVED), ("Option<Self>", SELF), ("Box<dyn Any>", OPEN)];
        for (ty, expected) in refused {
            assert_eq!(message(ty, in_method).as_deref(), Some(expected), "{ty}");
        }
        assert_eq!(message("Option<Box<Self>>", in_field), None);
        assert_eq!(message("BTreeMap<String, [Box<u8>; 2]>", in_method), None);
    }
}
