//! Versions below which a known hole is open. Advisories cannot be fetched everywhere, so they are written down here.

use toml::Table;

use super::tree::{Tree, Violation, line_of};

const MINIMUM: &[(&str, &str, &str)] = &[
    ("rkyv", "0.8.18", "RUSTSEC-2026-0233 to -0235: checked access was not safe"),
    ("lz4_flex", "0.12.1", "RUSTSEC-2026-0041: leaks old buffer contents"),
    ("memmap2", "0.9.11", "RUSTSEC-2026-0186"),
    ("bytes", "1.11.1", "RUSTSEC-2026-0007"),
    ("h2", "0.4.16", "RUSTSEC-2026-0258"),
    ("tracing-subscriber", "0.3.20", "RUSTSEC-2025-0055: escape codes in logs"),
    ("zlib-rs", "0.4.0", "RUSTSEC-2024-0401"),
    ("rustls", "0.23.18", "RUSTSEC-2024-0336, -0399"),
    ("rustls-webpki", "0.103.13", "RUSTSEC-2026-0049, -0098, -0099, -0104"),
    ("slab", "0.4.11", "out of bounds in get_disjoint_mut"),
    ("crossbeam-channel", "0.5.15", "double free"),
    ("crossbeam-epoch", "0.9.20", "unsound"),
];

pub fn minimum_versions(tree: &Tree) -> Vec<Violation> {
    let locks = tree.files.iter().filter(|(path, _)| path.ends_with("Cargo.lock"));
    locks.flat_map(|(path, text)| too_old(path, text)).collect()
}

fn too_old(path: &str, text: &str) -> Vec<Violation> {
    let lock: Table = text.parse().expect("a lock file is TOML");
    let packages = lock.get("package").and_then(|list| list.as_array()).into_iter().flatten();
    let named =
        packages.filter_map(|package| Some((package.get("name")?.as_str()?, package.get("version")?.as_str()?)));
    named.filter_map(|(name, version)| too_old_package(path, text, name, version)).collect()
}

fn too_old_package(path: &str, text: &str, name: &str, version: &str) -> Option<Violation> {
    let (_, minimum, why) = MINIMUM.iter().find(|(listed, ..)| *listed == name)?;
    let entry = text.find(&format!("name = \"{name}\"\nversion = \"{version}\"")).unwrap_or(0);
    let what = format!("{name} {version} is older than {minimum}: {why}");
    (numbers(version) < numbers(minimum)).then(|| Violation::new(path, line_of(text, entry), what))
}

/// `1.2.3-beta+build` as [1, 2, 3]: a prerelease counts as its release.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or(version);
    release.split('.').map(|part| part.parse().expect("lock files hold whole versions")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    fn found(version: &str) -> Vec<String> {
        let text = format!("version = 4\n\n[[package]]\nname = \"memmap2\"\nversion = \"{version}\"\n");
        shown(&minimum_versions(&Tree::of(&[("tests/fuzz/Cargo.lock", &text)])))
    }

    #[test]
    fn old_versions_are_refused() {
        assert_eq!(found("0.9.9"), ["tests/fuzz/Cargo.lock:4: memmap2 0.9.9 is older than 0.9.11: RUSTSEC-2026-0186"]);
        assert!(found("0.9.11").is_empty());
        assert!(found("1.0.0-beta.1").is_empty());
    }
}
