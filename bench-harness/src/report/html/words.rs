//! Text of the page: escaped, and with the signs that a page has and a terminal may lack.

/// Text in which nothing is markup, in elements and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Not allowed in a page at all, not even escaped.
            letter if letter.is_control() && !matches!(letter, '\n' | '\t') => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A number with its unit, escaped: `45.1 us` does not break and has a mu; `2.9..3.1` has a dash.
pub(super) fn number(text: &str) -> String {
    let mut words = vec![];
    for word in text.split(' ') {
        words.push(match word {
            "us" => "µs".to_owned(),
            "us," => "µs,".to_owned(),
            _ => word.replace("us..", "µs..").replace("us)", "µs)").replace("..", "–"),
        });
    }
    escape(&words.join("\u{a0}"))
}

/// Prose that has numbers in it, escaped: only the mu, and what stands between backticks as code.
pub(super) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without its pair is one.
    if parts.len().is_multiple_of(2) {
        return escape(&with_mu(text));
    }
    let parts = parts.iter().enumerate().map(|(number, part)| {
        if number.is_multiple_of(2) { escape(&with_mu(part)) } else { format!("<code>{}</code>", escape(part)) }
    });
    parts.collect()
}

fn with_mu(text: &str) -> String {
    let mut words = text.split(' ').map(|word| {
        let (stem, rest) =
            word.split_at(word.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(word.len()));
        // A word of its own, or one before a sign.
        if stem == "us" { format!("µs{rest}") } else { word.to_owned() }
    });
    let first = words.next().unwrap_or_default();
    words.fold(first, |text, word| text + " " + &word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(escape("<b a=\"1\" c='2'>&\u{1b}"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\u{fffd}");
        assert_eq!(number("<i> us"), "&lt;i&gt;\u{a0}µs");
    }

    #[test]
    fn prose_has_mu_and_code() {
        assert_eq!(prose("20 us, `a us<` (3 us)."), "20 µs, <code>a us&lt;</code> (3 µs).");
        assert_eq!(prose("use of `it"), "use of `it");
    }

    #[test]
    fn numbers_have_their_signs() {
        assert_eq!(number("32.6 us..37.4 us"), "32.6\u{a0}µs–37.4\u{a0}µs");
        assert_eq!(number("3.02 (2.9..3.1)"), "3.02\u{a0}(2.9–3.1)");
    }
}
