//! Documents can be found: decisions are numbered, and links lead somewhere.

use std::collections::BTreeMap;

use super::tree::{Tree, Violation};

const DECISIONS: &str = "docs/decisions/";

pub fn decision_names(tree: &Tree) -> Vec<Violation> {
    let mut numbers: BTreeMap<&str, &str> = BTreeMap::new();
    let mut wrong = Vec::new();
    let names = tree.files.keys().filter_map(|path| Some((path, path.strip_prefix(DECISIONS)?)));
    for (path, name) in names.filter(|(_, name)| *name != "README.md") {
        if !is_decision_name(name) {
            wrong.push(Violation::new(path, 1, "a decision is named NNNN-title.md, in-kebab-case"));
        } else if let Some(other) = numbers.insert(&name[..4], name) {
            wrong.push(Violation::new(path, 1, format!("the number is taken by {other}")));
        }
    }
    wrong
}

fn is_decision_name(name: &str) -> bool {
    let Some((number, title)) = name.strip_suffix(".md").and_then(|stem| stem.split_once('-')) else {
        return false;
    };
    let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_kebab = title.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_number && is_kebab && !title.is_empty()
}

pub fn links(tree: &Tree) -> Vec<Violation> {
    let documents = tree.files.iter().filter(|(path, _)| path.ends_with(".md"));
    documents.flat_map(|(path, text)| dead_links(tree, path, text)).collect()
}

fn dead_links(tree: &Tree, path: &str, text: &str) -> Vec<Violation> {
    let mut in_code = false;
    let mut dead = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let targets = if in_code { vec![] } else { local_targets(&without_code(line)) };
        let missing = targets.into_iter().filter(|target| !leads_somewhere(tree, path, target));
        dead.extend(missing.map(|target| Violation::new(path, index + 1, format!("{target} leads nowhere"))));
    }
    dead
}

/// A line without what stands in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Files named by `[text](target)` and `[name]: target`, without their anchors.
fn local_targets(line: &str) -> Vec<String> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let definition = line.starts_with('[').then(|| line.split_once("]: ").map(|(_, target)| target)).flatten();
    let all = inline.chain(definition.and_then(|target| target.split_whitespace().next()));
    let files = all.filter_map(|target| target.split('#').next());
    files.filter(|file| !file.is_empty() && !file.contains(':')).map(Into::into).collect()
}

fn leads_somewhere(tree: &Tree, document: &str, target: &str) -> bool {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." if parts.pop().is_none() => return false,
            ".." => {}
            part => parts.push(part),
        }
    }
    tree.has(&parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn decisions_have_numbers_of_their_own() {
        let names = ["0001-one-writer.md", "0001-two-segments.md", "2-short.md", "0003-Big.md", "0004.md", "README.md"];
        let files: Vec<(String, &str)> = names.iter().map(|name| (format!("docs/decisions/{name}"), "")).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let found = shown(&decision_names(&Tree::of(&files)));
        assert_eq!(found[0], "docs/decisions/0001-two-segments.md:1: the number is taken by 0001-one-writer.md");
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn links_lead_to_files() {
        let found = |text| shown(&links(&Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("LICENSE", "")])));
        assert_eq!(found("x\n[b](c.md#d)"), ["docs/a.md:2: c.md leads nowhere"]);
        assert_eq!(found("![p](p.png)\n[b]: c.md").len(), 2);
        assert_eq!(found("[up](../../x)").len(), 1);
        assert!(found("[b](b.md#x) [l](../LICENSE) [d](../docs/) [w](https://example.org) [h](#here)").is_empty());
        assert!(found("`[b](c.md)`\n```\n[b](c.md)\n```\n").is_empty());
    }
}
