//! Where functions and test code begin and end.

use std::ops::Range;

use super::lexer::is_word;
use super::tree::Source;

/// Which bytes of a file are compiled for tests only.
#[derive(Default)]
pub struct TestCode {
    whole_file: bool,
    ranges: Vec<Range<usize>>,
    /// Names of `#[cfg(test)] mod name;`, whose files are test code.
    modules: Vec<String>,
}

impl TestCode {
    pub fn find(code: &str) -> Self {
        let mut found = Self::default();
        for (start, attribute) in attributes(code) {
            if !is_test_attribute(attribute) {
                continue;
            }
            let body = start + attribute.len();
            let end = item_end(code, body);
            found.modules.extend(module_declared(&code[body..end]));
            found.ranges.push(start..end);
        }
        found
    }

    pub fn remove_from(&self, code: &str) -> String {
        self.blanked(code, false)
    }

    pub fn keep_in(&self, code: &str) -> String {
        self.blanked(code, true)
    }

    fn blanked(&self, code: &str, keep_tests: bool) -> String {
        let is_test = |at: usize| self.whole_file || self.ranges.iter().any(|range| range.contains(&at));
        let kept = |at: usize, c: char| c == '\n' || is_test(at) == keep_tests;
        code.char_indices().map(|(at, c)| if kept(at, c) { c } else { ' ' }).collect()
    }
}

/// Files that are tests as a whole: the tests crate, `tests/`, `benches/`, and modules declared under `cfg(test)`.
pub fn mark_test_files(sources: &mut [Source]) {
    let declared: Vec<String> = sources.iter().flat_map(test_module_files).collect();
    for source in sources {
        let in_test_folder = source.path.split('/').any(|part| part == "tests" || part == "benches");
        let is_declared = declared.iter().any(|start| is_module_file(&source.path, start));
        source.tests.whole_file = in_test_folder || is_declared;
    }
}

fn test_module_files(source: &Source) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let home = match file {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_string(),
        _ => source.path.trim_end_matches(".rs").to_string(),
    };
    source.tests.modules.iter().map(|name| format!("{home}/{name}")).collect()
}

fn is_module_file(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Every `#[…]` and `#![…]` with its offset.
pub fn attributes(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let starts = code.match_indices('#').map(|(at, _)| at);
    starts.filter_map(|at| {
        let after = code[at + 1..].trim_start_matches('!');
        if !after.starts_with('[') {
            return None;
        }
        let open = code.len() - after.len();
        Some((at, &code[at..closing(code, open)? + 1]))
    })
}

fn is_test_attribute(attribute: &str) -> bool {
    let compact: String = attribute.split_whitespace().collect();
    let is_cfg = compact.starts_with("#[cfg(") && !compact.contains("not(test");
    compact == "#[test]" || (is_cfg && has_word(&compact, "test"))
}

fn module_declared(item: &str) -> Option<String> {
    let declaration = item.trim().strip_suffix(';')?;
    let (_, name) = declaration.split_once("mod ")?;
    Some(name.trim().to_string())
}

/// The end of the item that begins at or after an offset: its closing brace or its semicolon.
fn item_end(code: &str, start: usize) -> usize {
    let mut at = start;
    while let Some(offset) = code[at..].find(['{', ';', '(', '[']) {
        at += offset;
        match code.as_bytes()[at] {
            b';' => return at + 1,
            b'{' => return closing(code, at).map_or(code.len(), |end| end + 1),
            _ => at = closing(code, at).map_or(code.len(), |end| end + 1),
        }
    }
    code.len()
}

/// The bracket that closes the one at this offset.
pub fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The name and the extent of each function that has a body.
pub fn functions(code: &str) -> Vec<(&str, Range<usize>)> {
    let found = words(code, "fn").filter_map(|start| {
        let signature = code[start + 2..].trim_start();
        let name = &signature[..signature.bytes().take_while(|byte| is_word(*byte)).count()];
        let end = item_end(code, start);
        // A function pointer has no name; a trait's method may have no body.
        let has_body = code[..end].ends_with('}');
        (!name.is_empty() && has_body).then_some((name, start..end))
    });
    found.collect()
}

/// Offsets of a word that is not part of a longer one.
pub fn words<'text>(text: &'text str, word: &'text str) -> impl Iterator<Item = usize> + 'text {
    let bytes = text.as_bytes();
    let free_before = move |at: usize| at == 0 || !is_word(bytes[at - 1]);
    let free_after = move |end: usize| end == bytes.len() || !is_word(bytes[end]);
    let offsets = text.match_indices(word).map(|(at, _)| at);
    offsets.filter(move |at| free_before(*at) && free_after(at + word.len()))
}

pub fn has_word(text: &str, word: &str) -> bool {
    words(text, word).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;

    #[test]
    fn test_modules_are_not_shipped() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}";
        let tests = TestCode::find(code);
        let shipped = tests.remove_from(code);
        assert!(has_word(&shipped, "a") && has_word(&shipped, "c") && !has_word(&shipped, "b"), "{shipped}");
        assert!(has_word(&tests.keep_in(code), "b"));
    }

    #[test]
    fn what_is_not_for_tests_is_shipped() {
        let code = "#[cfg(not(test))]\nfn a() {}\n#[cfg(feature_test)]\nfn b() {}";
        assert_eq!(TestCode::find(code).remove_from(code), code);
    }

    #[test]
    fn files_of_test_modules_are_tests() {
        let files = [
            ("engine/src/lib.rs", "#[cfg(test)]\nmod fake;\nmod real;"),
            ("engine/src/fake.rs", "fn a() {}"),
            ("engine/src/real.rs", "#[cfg(all(test, not(loom)))] mod more;"),
            ("engine/src/real/more.rs", "fn a() {}"),
            ("tests/tests/kill.rs", "fn a() {}"),
        ];
        let tree = Tree::of(&files);
        let shipped = tree.sources.iter().filter(|source| has_word(&source.shipped_code(), "fn"));
        assert_eq!(shipped.count(), 0);
        let test = tree.sources.iter().filter(|source| has_word(&source.test_code(), "fn"));
        assert_eq!(test.count(), 3);
    }

    #[test]
    fn functions_have_names_and_ends() {
        let code = "type F = fn(u8);\ntrait T { fn a(); fn b(x: [u8; 2]) { {} } }\nfn c() -> u8 { 1 }";
        let found: Vec<_> = functions(code).into_iter().map(|(name, range)| (name, &code[range])).collect();
        assert_eq!(found, [("b", "fn b(x: [u8; 2]) { {} }"), ("c", "fn c() -> u8 { 1 }")]);
    }

    #[test]
    fn words_stand_alone() {
        assert!(has_word("x unsafe {", "unsafe"));
        assert!(!has_word("unsafe_code not_unsafe", "unsafe"));
    }
}
