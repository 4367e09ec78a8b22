//! Names and doc comments.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// `ThumbnailMaker` as `thumbnail-maker`, `HTTPProbe` as `http-probe`.
pub fn kebab_case(name: &str) -> String {
    let letters: Vec<char> = name.trim_start_matches("r#").chars().collect();
    let mut out = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                before != '_' && (!before.is_uppercase() || after.is_some_and(|after| after.is_lowercase()))
            });
        if starts_word {
            out.push('-');
        }
        match letter {
            '_' => out.push('-'),
            other => out.extend(other.to_lowercase()),
        }
    }
    out
}

/// The text of doc comments, without the space that each line begins with.
pub fn docs(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes.iter().filter_map(doc_line).collect();
    let lines: Vec<&str> = lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n").trim().to_owned()
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn words_are_found_in_names() {
        let names = ["Echo", "ThumbnailMaker", "HTTPProbe", "Sha256Sum", "Old_Style", "r#Raw", "V2"];
        let kebab = ["echo", "thumbnail-maker", "http-probe", "sha256-sum", "old-style", "raw", "v2"];
        assert_eq!(names.map(kebab_case), kebab);
    }

    #[test]
    fn docs_lose_their_margin_only() {
        let attributes: Vec<Attribute> = parse_quote! {
            /// One.
            ///
            ///   * two
            #[must_use]
            #[doc = "three"]
        };
        assert_eq!(docs(&attributes), "One.\n\n  * two\nthree");
    }
}
