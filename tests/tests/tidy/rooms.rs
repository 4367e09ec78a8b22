//! Unsafe code lives in few rooms, each with one door.

use super::arrows::Manifest;
use super::blocks::{attributes, has_word, words};
use super::tree::{Source, Tree, Violation, is_under};

const ROOMS: &[&str] = &[
    "protocol/src/shm",         // memory that another process writes
    "engine/src/uring",         // memory that the kernel writes
    "bench-harness/src/floors", // what the bare hardware can do
    "tests/src/hostile",        // clients that break every rule
];

fn is_in_room(path: &str) -> bool {
    is_under(path.trim_end_matches(".rs"), ROOMS)
}

pub fn unsafe_word(tree: &Tree) -> Vec<Violation> {
    let outside = tree.sources.iter().filter(|source| !is_in_room(&source.path));
    outside
        .flat_map(|source| {
            let places = words(&source.lexed.code, "unsafe");
            places.map(|at| Violation::at(&source.path, &source.text, at, "unsafe code outside its rooms"))
        })
        .collect()
}

/// Crates forbid unsafe code. One that owns a room denies it, and opens the room's module only.
pub fn doors(tree: &Tree) -> Vec<Violation> {
    let roots: Vec<String> = Manifest::all(tree).iter().flat_map(|manifest| roots(tree, manifest)).collect();
    let outside = tree.sources.iter().filter(|source| !is_in_room(&source.path));
    outside.flat_map(|source| wrong_doors(source, roots.contains(&source.path))).collect()
}

/// The files that a crate's library and programs begin with.
fn roots(tree: &Tree, manifest: &Manifest) -> Vec<String> {
    let source = manifest.join("src");
    let is_program = |name: &str| !name.contains('/') || (name.ends_with("/main.rs") && name.matches('/').count() == 1);
    let is_root = |path: &str| match path.strip_prefix(&format!("{source}/")) {
        Some("lib.rs" | "main.rs") => true,
        Some(name) => name.strip_prefix("bin/").is_some_and(is_program),
        None => false,
    };
    let by_place = tree.sources.iter().map(|file| file.path.clone()).filter(|path| is_root(path));
    by_place.chain(manifest.program_paths()).collect()
}

fn wrong_doors(source: &Source, is_root: bool) -> Vec<Violation> {
    let code = &source.lexed.code;
    let wrong = |what: String| vec![Violation::new(&source.path, 1, what)];
    match (is_root, room_module(source)) {
        (false, _) if opened(code).is_empty() => vec![],
        (false, _) => wrong("unsafe code is allowed by the crate's root, and for rooms only".into()),
        (true, None) if !has_inner(code, "forbid") => wrong("has no #![forbid(unsafe_code)]".into()),
        (true, None) => vec![],
        (true, Some(_)) if !has_inner(code, "deny") => wrong("owns a room and has no #![deny(unsafe_code)]".into()),
        (true, Some(room)) if opened(code) != [format!("mod {room}")] => {
            wrong(format!("must have one #[expect(unsafe_code, reason = \"…\")], on `mod {room}`"))
        }
        (true, Some(_)) => vec![],
    }
}

/// The module of a crate's root that is a room.
fn room_module(source: &Source) -> Option<&'static str> {
    let (folder, _) = source.path.rsplit_once('/')?;
    let names = ROOMS.iter().filter_map(|room| room.rsplit_once('/')).filter(|(home, _)| *home == folder);
    let declares = |name: &str| has_word(&source.lexed.code, &format!("mod {name}"));
    names.map(|(_, name)| name).find(|name| declares(name))
}

fn has_inner(code: &str, level: &str) -> bool {
    attributes(code).any(|(_, attribute)| attribute.starts_with(&format!("#![{level}(unsafe_code")))
}

/// What each attribute that silences the lint stands on, as `mod shm`.
fn opened(code: &str) -> Vec<String> {
    let silences = |text: &str| has_word(text, "unsafe_code") && (has_word(text, "expect") || has_word(text, "allow"));
    let found = attributes(code).filter(|(_, attribute)| silences(attribute));
    found
        .map(|(at, attribute)| {
            let item = code[at + attribute.len()..].split([';', '{']).next().unwrap_or_default().trim();
            item[item.find("mod ").unwrap_or(0)..].to_string()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    const PACKAGE: &str = "[package]\nname = 'x'\n[lints]\nworkspace = true";
    const FORBID: &str = "#![forbid(unsafe_code)]";

    #[test]
    fn the_word_stays_in_its_rooms() {
        let block = "#![deny(unsafe_code)]\n// unsafe\nlet x = \"unsafe\";\nunsafe { f() }";
        let found = |path| shown(&unsafe_word(&Tree::of(&[(path, block)])));
        assert_eq!(found("engine/src/idle.rs"), ["engine/src/idle.rs:4: unsafe code outside its rooms"]);
        assert_eq!(found("protocol/src/shmem.rs").len(), 1);
        for room in ["protocol/src/shm/slot.rs", "protocol/src/shm.rs", "engine/src/uring/mod.rs"] {
            assert!(found(room).is_empty(), "{room}");
        }
    }

    fn found(manifest: &str, path: &str, text: &str) -> Vec<String> {
        shown(&doors(&Tree::of(&[(manifest, PACKAGE), (path, text)])))
    }

    #[test]
    fn crates_forbid_it() {
        for root in ["client/src/lib.rs", "client/src/main.rs", "client/src/bin/a.rs", "client/src/bin/a/main.rs"] {
            assert_eq!(found("client/Cargo.toml", root, ""), [format!("{root}:1: has no #![forbid(unsafe_code)]")]);
            assert!(found("client/Cargo.toml", root, FORBID).is_empty());
        }
        assert!(found("client/Cargo.toml", "client/src/shm.rs", "").is_empty());
        assert!(found("tests/Cargo.toml", "tests/src/hostile/main.rs", "").is_empty());
    }

    #[test]
    fn programs_with_a_path_forbid_it() {
        let manifest = format!("{PACKAGE}\n[[bin]]\nname = 'a'\npath = 'programs/a.rs'");
        let tree = Tree::of(&[("tests/Cargo.toml", &manifest), ("tests/programs/a.rs", "")]);
        assert_eq!(shown(&doors(&tree)), ["tests/programs/a.rs:1: has no #![forbid(unsafe_code)]"]);
    }

    #[test]
    fn rooms_have_one_door() {
        let found = |text: &str| found("protocol/Cargo.toml", "protocol/src/lib.rs", text);
        let door = "#[expect(unsafe_code, reason = \"room 1\")]";
        let good = format!("#![deny(unsafe_code)]\nmod frame;\n{door}\n#[doc = \"x\"]\npub mod shm;\n");
        assert!(found(&good).is_empty(), "{:?}", found(&good));
        assert!(found(&format!("{FORBID}\nmod frame;")).is_empty());
        let bad = [
            format!("{FORBID}\nmod shm;"),
            "#![deny(unsafe_code)]\nmod shm;".into(),
            format!("{good}{door}\nmod other;"),
            format!("#![deny(unsafe_code)]\nmod shm;\n{door}\nmod other;"),
        ];
        for text in bad {
            assert_eq!(found(&text).len(), 1, "{text}");
        }
    }

    #[test]
    fn files_open_no_doors_of_their_own() {
        let text = "#![allow(unsafe_code, reason = \"fast\")]";
        assert_eq!(found("engine/Cargo.toml", "engine/src/idle.rs", text).len(), 1);
    }
}
