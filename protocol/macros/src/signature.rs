//! A method's signature in one normal form, such as `total(&[u8]) -> Result<u64, Sum>`: programs compare these when
//! they connect.
//!
//! Names of arguments, spaces, trailing commas and the way to a type (`std::string::String`) are not part of it. Two
//! types that have the same name at the ends of different paths are told apart by their fields.

use quote::ToTokens;
use syn::{GenericArgument, Path, PathArguments, PathSegment, Type};

use crate::types::{Argument, Kind, Output, peel};

pub fn normal_form(name: &str, arguments: &[Argument], output: &Output) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| of_argument(&argument.kind)).collect();
    let result = match (&output.ok, &output.error) {
        (None, None) => String::new(),
        (ok, None) => format!(" -> {}", of_ok(ok.as_ref())),
        (ok, Some(error)) => format!(" -> Result<{}, {}>", of_ok(ok.as_ref()), of_type(error)),
    };
    format!("{name}({}){result}", arguments.join(", "))
}

fn of_argument(kind: &Kind) -> String {
    match kind {
        Kind::Str => "&str".to_owned(),
        Kind::Bytes => "&[u8]".to_owned(),
        Kind::View(ty) => format!("&Archived<{}>", of_type(ty)),
        Kind::Shared(ty) => format!("&{}", of_type(ty)),
        Kind::Owned(ty) => of_type(ty),
    }
}

fn of_ok(ty: Option<&Type>) -> String {
    ty.map_or_else(|| "()".to_owned(), of_type)
}

fn of_type(ty: &Type) -> String {
    match peel(ty) {
        Type::Path(path) if path.qself.is_none() => of_path(&path.path),
        Type::Tuple(tuple) => match tuple.elems.len() {
            1 => format!("({},)", of_type(&tuple.elems[0])),
            _ => format!("({})", of_types(&tuple.elems)),
        },
        Type::Array(array) => format!("[{}; {}]", of_type(&array.elem), compact(&array.len)),
        other => compact(other),
    }
}

fn of_types<'a>(types: impl IntoIterator<Item = &'a Type>) -> String {
    types.into_iter().map(of_type).collect::<Vec<_>>().join(", ")
}

fn of_path(path: &Path) -> String {
    path.segments.last().map(of_segment).unwrap_or_default()
}

fn of_segment(segment: &PathSegment) -> String {
    match &segment.arguments {
        PathArguments::AngleBracketed(list) => {
            let list: Vec<String> = list.args.iter().map(of_generic).collect();
            format!("{}<{}>", segment.ident, list.join(", "))
        }
        _ => compact(segment),
    }
}

fn of_generic(argument: &GenericArgument) -> String {
    match argument {
        GenericArgument::Type(ty) => of_type(ty),
        other => compact(other),
    }
}

/// Tokens with a space only where two words would run together.
fn compact(tokens: &impl ToTokens) -> String {
    let spaced = tokens.to_token_stream().to_string();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    spaced.split_whitespace().fold(String::new(), |mut out, token| {
        if out.ends_with(is_word) && token.starts_with(is_word) {
            out.push(' ');
        }
        out + token
    })
}

#[cfg(test)]
mod tests {
    use syn::parse_str;

    use super::*;

    fn normal(ty: &str) -> String {
        of_type(&parse_str(ty).unwrap())
    }

    #[test]
    fn the_way_a_type_is_written_does_not_matter() {
        let forms = [
            ("std :: string :: String", "String"),
            ("Vec<\n  Option<u8>,\n>", "Vec<Option<u8>>"),
            ("BTreeMap<u8,api::Point>", "BTreeMap<u8, Point>"),
            ("(u8,)", "(u8,)"),
            ("(u8 , (BTreeMap<u8,u8>,) ,)", "(u8, (BTreeMap<u8, u8>,))"),
            ("((u8))", "u8"),
            ("()", "()"),
            ("[u8;4]", "[u8; 4]"),
            ("[u8; {1 + N as usize}]", "[u8; {1+N as usize}]"),
            ("Matrix<3, {N}>", "Matrix<3, {N}>"),
            ("<Point as Shape>::Area", "<Point as Shape>::Area"),
        ];
        for (written, expected) in forms {
            assert_eq!(normal(written), expected);
        }
    }
}
