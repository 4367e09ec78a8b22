//! Cuts Rust text into code and comments. Both keep the length and the lines of the text: what belongs to the other,
//! and what is quoted, becomes spaces. So offsets and line numbers hold in all three.

/// A Rust file's code without comments and quoted text, and its comments without code.
pub struct Lexed {
    pub code: String,
    pub comments: String,
}

pub fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer { bytes: text.as_bytes(), at: 0, code: Vec::new(), comments: Vec::new() };
    while lexer.at < lexer.bytes.len() {
        lexer.step();
    }
    let utf8 = |bytes| String::from_utf8(bytes).expect("cuts are at ASCII characters");
    Lexed { code: utf8(lexer.code), comments: utf8(lexer.comments) }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Quoted,
}

struct Lexer<'text> {
    bytes: &'text [u8],
    at: usize,
    code: Vec<u8>,
    comments: Vec<u8>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(b"//") {
            let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            self.take(length, Kind::Comment);
        } else if rest.starts_with(b"/*") {
            self.take(block_comment_length(rest), Kind::Comment);
        } else if let Some(length) = raw_string_length(rest).filter(|_| !self.is_in_word()) {
            self.take(length, Kind::Quoted);
        } else if rest[0] == b'"' {
            self.take(quoted_length(rest, b'"'), Kind::Quoted);
        } else if let Some(length) = char_length(rest) {
            self.take(length, Kind::Quoted);
        } else {
            self.take(1, Kind::Code);
        }
    }

    /// In the middle of a word, where an `r` begins no raw string.
    fn is_in_word(&self) -> bool {
        self.at > 0 && is_word(self.bytes[self.at - 1])
    }

    fn take(&mut self, length: usize, kind: Kind) {
        let taken = &self.bytes[self.at..self.at + length];
        for byte in taken {
            self.code.push(kept_or_blank(*byte, kind == Kind::Code));
            self.comments.push(kept_or_blank(*byte, kind == Kind::Comment));
        }
        self.at += length;
    }
}

/// A blank for each byte, so that offsets hold; line ends stay.
fn kept_or_blank(byte: u8, keep: bool) -> u8 {
    if keep || byte == b'\n' { byte } else { b' ' }
}

pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// `r"…"`, `r#"…"#`, `br"…"` and `cr"…"`, prefix and marks included.
fn raw_string_length(rest: &[u8]) -> Option<usize> {
    let prefix = rest.iter().take_while(|byte| matches!(byte, b'b' | b'c' | b'r')).count();
    if !matches!(&rest[..prefix], b"r" | b"br" | b"cr") {
        return None;
    }
    let marks = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(prefix + marks) != Some(&b'"') {
        return None;
    }
    let body = prefix + marks + 1;
    let end = [b"\"".as_slice(), &b"#".repeat(marks)].concat();
    let found = rest[body..].windows(end.len()).position(|window| window == end);
    Some(found.map_or(rest.len(), |offset| body + offset + end.len()))
}

fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `'a'` and `'\n'`, but not the lifetime `'a`.
fn char_length(rest: &[u8]) -> Option<usize> {
    if rest[0] != b'\'' {
        return None;
    }
    let length = match rest.get(1)? {
        b'\\' => quoted_length(rest, b'\''),
        first => 2 + utf8_length(*first),
    };
    (rest.get(length - 1) == Some(&b'\'')).then_some(length)
}

fn utf8_length(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::lex;

    /// Code without blanks, after a look that nothing has moved.
    fn code(text: &str) -> String {
        let lexed = lex(text);
        assert_eq!((lexed.code.len(), lexed.comments.len()), (text.len(), text.len()));
        assert_eq!(lexed.code.matches('\n').count(), text.matches('\n').count());
        lexed.code.replace([' ', '\n'], "")
    }

    #[test]
    fn comments_leave_code() {
        assert_eq!(code("a // b\nc /* d /* e */ f */ g"), "acg");
        assert_eq!(lex("a // b\nc").comments, "  // b\n ");
    }

    #[test]
    fn quoted_text_leaves_code() {
        assert_eq!(code(r#"f("un\"safe") g"#), "f()g");
        assert_eq!(code(r###"a r#"b " c"# d"###), "ad");
        assert_eq!(code(r#"a br"b" b"c" d"#), "abd");
        assert_eq!(code("a \"\n{\" b"), "ab");
    }

    #[test]
    fn characters_are_quoted_and_lifetimes_are_not() {
        assert_eq!(code(r"a '{' '\'' '\u{7b}' 'é' b"), "ab");
        assert_eq!(code("f<'a>(x:&'a str)"), "f<'a>(x:&'astr)");
    }

    #[test]
    fn words_that_end_in_r_begin_no_raw_string() {
        assert_eq!(code(r##"bar"a{" b"##), "barb");
    }

    #[test]
    fn unfinished_text_ends_with_the_file() {
        assert_eq!(code("a \"bcd"), "a");
        assert_eq!(code("a /* bc"), "a");
    }
}
