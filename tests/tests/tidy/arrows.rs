//! Which crate may use which: arrows point down only, as in the crate map of the README.

use toml::{Table, Value};

use super::tree::{Tree, Violation};

/// From each folder, the folders of ours that it may use. A folder that is not here fails until it is listed.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("protocol/macros", &[]),
    ("config", &[]),
    ("supervisor/broker", &["protocol"]),
    ("engine", &["config", "protocol"]),
    ("client", &["protocol", "protocol/macros", "engine", "supervisor/broker"]),
    ("supervisor", &["supervisor/broker", "config", "protocol"]),
    ("web", &["config", "protocol", "web/hdr"]),
    ("web/hdr", &[]),
    ("engine/cli", &["client", "config", "engine", "protocol", "supervisor", "supervisor/broker", "web"]),
    // Of protocol what a hostile client must speak correctly before it breaks rules: the greeting.
    ("tests", &["client", "protocol"]),
    // Of config its units alone: a command line says 30s and 64KiB as a file does.
    // Of the dashboard what writes histograms for other tools.
    ("bench-harness", &["client", "config", "web/hdr"]),
    // A service that calls another one has its trait from there.
    ("examples/crowd", &["client", "examples/hello"]),
    ("examples/*", &["client"]),
];
/// What runs in a worker or in a user's program brings no runtime along.
const WITHOUT_TOKIO: &[&str] = &["protocol", "protocol/macros", "config", "supervisor/broker", "engine", "client"];
/// But who writes services for tokio may ask for it.
const TOKIO_IF_ASKED: &str = "client";
/// The client brings the engine only to those who ask for it.
const SERVER_ONLY: &[&str] = &["speedysvc-core", "speedysvc-broker"];

/// A package of the workspace. Packages with a workspace of their own are not ours to judge.
pub struct Manifest {
    path: String,
    folder: String,
    table: Table,
}

impl Manifest {
    pub fn all(tree: &Tree) -> Vec<Self> {
        let files = tree.files.iter().filter(|(path, _)| path.ends_with("/Cargo.toml"));
        let parsed = files.map(|(path, text)| Self::parse(path, text));
        parsed.filter(|manifest| !manifest.table.contains_key("workspace")).collect()
    }

    fn parse(path: &str, text: &str) -> Self {
        let table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.into(), folder: path.trim_end_matches("/Cargo.toml").into(), table }
    }

    pub fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.folder)
    }

    pub fn program_paths(&self) -> Vec<String> {
        let programs = self.table.get("bin").and_then(Value::as_array).into_iter().flatten();
        programs.filter_map(|program| Some(self.join(program.get("path")?.as_str()?))).collect()
    }

    fn name(&self) -> Option<&str> {
        self.table.get("package")?.get("name")?.as_str()
    }

    /// Dependencies of this kind, those for one target only included.
    fn dependencies(&self, kind: &str) -> Vec<(&str, &Value)> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let tables = targets.into_iter().flat_map(Table::values).filter_map(|target| target.get(kind));
        let tables = self.table.get(kind).into_iter().chain(tables).filter_map(Value::as_table);
        tables.flatten().map(|(name, spec)| (package_name(name, spec), spec)).collect()
    }

    /// What the package itself is built with.
    fn shipped(&self) -> Vec<(&str, &Value)> {
        let mut found = self.dependencies("dependencies");
        found.extend(self.dependencies("build-dependencies"));
        found
    }

    fn wrong(&self, what: impl Into<String>) -> Violation {
        Violation::new(&self.path, 1, what)
    }
}

fn package_name<'a>(key: &'a str, spec: &'a Value) -> &'a str {
    spec.get("package").and_then(Value::as_str).unwrap_or(key)
}

fn folder_of<'a>(manifests: &'a [Manifest], package: &str) -> Option<&'a str> {
    manifests.iter().find(|manifest| manifest.name() == Some(package)).map(|manifest| manifest.folder.as_str())
}

pub fn arrows(tree: &Tree) -> Vec<Violation> {
    let manifests = Manifest::all(tree);
    let shipped = manifests.iter().flat_map(|manifest| wrong_arrows(&manifests, manifest));
    shipped.chain(manifests.iter().flat_map(|manifest| backward_tests(&manifests, manifest))).collect()
}

fn wrong_arrows(manifests: &[Manifest], manifest: &Manifest) -> Vec<Violation> {
    let Some(allowed) = allowed(&manifest.folder) else {
        return vec![manifest.wrong("a crate that tests/tests/tidy/arrows.rs does not know")];
    };
    let ours = manifest.shipped().into_iter().filter_map(|(name, spec)| Some((folder_of(manifests, name)?, spec)));
    let wrong = ours.filter_map(|(folder, spec)| match folder {
        _ if !allowed.contains(&folder) => Some(format!("may not use {folder}")),
        "config" if manifest.folder == "engine" && asks_for(spec, "file") => {
            Some("gets resolved values: no feature `file` of config".into())
        }
        _ => None,
    });
    wrong.map(|what| manifest.wrong(what)).collect()
}

fn allowed(folder: &str) -> Option<&'static [&'static str]> {
    let parent = folder.rsplit_once('/').map(|(parent, _)| format!("{parent}/*"));
    let is_entry = |entry: &str| entry == folder || Some(entry) == parent.as_deref();
    ARROWS.iter().find(|(entry, _)| is_entry(entry)).map(|(_, allowed)| *allowed)
}

fn asks_for(spec: &Value, feature: &str) -> bool {
    let features = spec.get("features").and_then(Value::as_array).into_iter().flatten();
    features.into_iter().any(|asked| asked.as_str() == Some(feature))
}

/// Tests of a crate that use what is above it: then there would be two of its every type.
fn backward_tests(manifests: &[Manifest], manifest: &Manifest) -> Vec<Violation> {
    let used = manifest.dependencies("dev-dependencies").into_iter();
    let above = used.filter(|(name, _)| reaches(manifests, name, manifest.name().unwrap_or_default()));
    above
        .map(|(name, _)| manifest.wrong(format!("its tests use {name}, which is above it: put them in tests/")))
        .collect()
}

fn reaches(manifests: &[Manifest], from: &str, to: &str) -> bool {
    let Some(manifest) = manifests.iter().find(|manifest| manifest.name() == Some(from)) else {
        return false;
    };
    from == to || manifest.shipped().into_iter().any(|(name, _)| reaches(manifests, name, to))
}

pub fn server_feature(tree: &Tree) -> Vec<Violation> {
    let manifests = Manifest::all(tree);
    let client = manifests.iter().filter(|manifest| manifest.folder == "client");
    client.flat_map(|client| SERVER_ONLY.iter().filter_map(|name| behind_server(client, name))).collect()
}

fn behind_server(client: &Manifest, name: &str) -> Option<Violation> {
    let (_, spec) = client.shipped().into_iter().find(|(dependency, _)| *dependency == name)?;
    let is_optional = spec.get("optional").and_then(Value::as_bool) == Some(true);
    let features = client.table.get("features").and_then(Value::as_table);
    let enables = |list: &Value| list.to_string().contains(&format!("dep:{name}"));
    let by: Vec<&String> =
        features.into_iter().flatten().filter(|(_, list)| enables(list)).map(|(key, _)| key).collect();
    let by_default =
        features.and_then(|table| table.get("default")).is_some_and(|list| list.to_string().contains("server"));
    (!is_optional || by != ["server"] || by_default)
        .then(|| client.wrong(format!("{name} belongs to feature `server`")))
}

pub fn no_tokio(tree: &Tree) -> Vec<Violation> {
    let manifests = Manifest::all(tree);
    let bound = manifests.iter().filter(|manifest| WITHOUT_TOKIO.contains(&manifest.folder.as_str()));
    let uses =
        bound.flat_map(|manifest| manifest.shipped().into_iter().map(move |(name, spec)| (manifest, name, spec)));
    let tokio = uses.filter(|(manifest, name, spec)| name.starts_with("tokio") && !is_asked_for(manifest, name, spec));
    let tokio = tokio.map(|(manifest, name, _)| (manifest, name));
    tokio
        .map(|(manifest, name)| manifest.wrong(format!("{name}: no runtime in a worker or a user's program")))
        .collect()
}

/// Whether only the feature of the same name brings it.
fn is_asked_for(manifest: &Manifest, name: &str, spec: &Value) -> bool {
    let features = manifest.table.get("features").and_then(Value::as_table).into_iter().flatten();
    let by: Vec<&String> =
        features.filter(|(_, list)| list.to_string().contains("tokio")).map(|(feature, _)| feature).collect();
    manifest.folder == TOKIO_IF_ASKED && spec.get("optional").and_then(Value::as_bool) == Some(true) && by == [name]
}

/// A crate that forgets this line is not checked by the workspace's lints.
pub fn shared_lints(tree: &Tree) -> Vec<Violation> {
    let shares = |manifest: &Manifest| manifest.table.get("lints")?.get("workspace")?.as_bool();
    let manifests = Manifest::all(tree);
    let without = manifests.iter().filter(|manifest| shares(manifest) != Some(true));
    without.map(|manifest| manifest.wrong("has no `[lints] workspace = true`")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    const PROTOCOL: (&str, &str) = ("protocol/Cargo.toml", "[package]\nname = 'speedysvc-protocol'");
    const CONFIG: (&str, &str) = ("config/Cargo.toml", "[package]\nname = 'speedysvc-config'");
    const CLIENT: (&str, &str) =
        ("client/Cargo.toml", "[package]\nname = 'speedysvc'\n[dependencies]\nspeedysvc-protocol.workspace = true");

    fn found(path: &str, rest: &str) -> Vec<String> {
        let text = format!("[package]\nname = 'this'\n{rest}");
        shown(&arrows(&Tree::of(&[PROTOCOL, CONFIG, CLIENT, (path, &text)])))
    }

    #[test]
    fn arrows_point_down() {
        let uses_client = "[dependencies]\nspeedysvc.workspace = true";
        assert!(found("tests/Cargo.toml", uses_client).is_empty());
        assert!(found("examples/hello/Cargo.toml", uses_client).is_empty());
        assert_eq!(found("engine/Cargo.toml", uses_client), ["engine/Cargo.toml:1: may not use client"]);
    }

    #[test]
    fn arrows_hide_in_no_corner() {
        let corners = [
            "[build-dependencies]\nspeedysvc = { path = '../client' }",
            "[target.'cfg(unix)'.dependencies]\nspeedysvc.workspace = true",
            "[dependencies]\nother = { package = 'speedysvc', path = '../client' }",
        ];
        for corner in corners {
            assert_eq!(found("web/Cargo.toml", corner), ["web/Cargo.toml:1: may not use client"], "{corner}");
        }
    }

    #[test]
    fn strangers_fail_until_listed() {
        let expected = "helpers/Cargo.toml:1: a crate that tests/tests/tidy/arrows.rs does not know";
        assert_eq!(found("helpers/Cargo.toml", ""), [expected]);
        assert!(found("tests/fuzz/Cargo.toml", "[workspace]").is_empty());
    }

    #[test]
    fn the_engine_reads_no_files() {
        let with =
            |features| format!("[dependencies]\nspeedysvc-config = {{ workspace = true, features = [{features}] }}");
        assert_eq!(found("engine/Cargo.toml", &with("'file'")).len(), 1);
        assert!(found("engine/Cargo.toml", &with("")).is_empty());
        assert!(found("supervisor/Cargo.toml", &with("'file'")).is_empty());
    }

    #[test]
    fn tests_use_what_is_below() {
        let text = "[package]\nname = 'speedysvc-protocol'\n[dev-dependencies]\nspeedysvc.workspace = true";
        let tree = Tree::of(&[(PROTOCOL.0, text), CLIENT]);
        let expected = "protocol/Cargo.toml:1: its tests use speedysvc, which is above it: put them in tests/";
        assert_eq!(shown(&arrows(&tree)), [expected]);
        assert!(found("tests/Cargo.toml", "[dev-dependencies]\nspeedysvc-config.workspace = true").is_empty());
    }

    #[test]
    fn the_engine_comes_with_server_only() {
        let client = |features: &str, optional: bool| {
            let dependency = format!("speedysvc-core = {{ workspace = true, optional = {optional} }}");
            let text = format!("[package]\nname = 'speedysvc'\n[features]\n{features}\n[dependencies]\n{dependency}");
            server_feature(&Tree::of(&[("client/Cargo.toml", &text)])).len()
        };
        assert_eq!(client("server = ['dep:speedysvc-core']", true), 0);
        assert_eq!(client("server = ['dep:speedysvc-core']", false), 1);
        assert_eq!(client("default = ['server']\nserver = ['dep:speedysvc-core']", true), 1);
        assert_eq!(client("server = ['dep:speedysvc-core']\nfast = ['dep:speedysvc-core']", true), 1);
    }

    #[test]
    fn workers_have_no_runtime() {
        let tree = |path, kind| {
            let text = format!("[package]\nname = 'x'\n[{kind}]\ntokio-util = {{ version = '1', optional = true }}");
            Tree::of(&[(path, text.as_str())])
        };
        assert_eq!(no_tokio(&tree("engine/Cargo.toml", "dependencies")).len(), 1);
        assert!(no_tokio(&tree("engine/Cargo.toml", "dev-dependencies")).is_empty());
        assert!(no_tokio(&tree("web/Cargo.toml", "dependencies")).is_empty());
    }

    #[test]
    fn a_runtime_is_there_for_who_asks() {
        let client = |features: &str, optional: bool| {
            let dependency = format!("tokio = {{ version = '1', optional = {optional} }}");
            let text = format!("[package]\nname = 'x'\n[features]\n{features}\n[dependencies]\n{dependency}");
            no_tokio(&Tree::of(&[("client/Cargo.toml", &text)])).len()
        };
        assert_eq!(client("tokio = ['dep:tokio']", true), 0);
        assert_eq!(client("tokio = ['dep:tokio']", false), 1);
        assert_eq!(client("tokio = ['dep:tokio']\ndefault = ['tokio']", true), 1);
        assert_eq!(client("server = ['dep:tokio']", true), 1);
    }

    #[test]
    fn lints_are_shared() {
        let tree = |rest| Tree::of(&[("web/Cargo.toml", rest)]);
        assert_eq!(shared_lints(&tree("[package]\nname = 'x'")).len(), 1);
        assert!(shared_lints(&tree("[package]\nname = 'x'\n[lints]\nworkspace = true")).is_empty());
    }
}
