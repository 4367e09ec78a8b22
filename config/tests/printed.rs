//! `check --print`: what it prints means the same as the file, and says where each value came from.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use speedysvc_config::{Config, Surroundings, load, print};

fn around() -> Surroundings {
    Surroundings { is_root: true, path: vec!["/bin".into(), "/usr/bin".into()], ..Surroundings::default() }
}

/// What is printed for a file, and that it is read as the same.
fn printed(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.toml");
    fs::write(&path, text).unwrap();
    let before = load(&path, &around()).unwrap_or_else(|report| panic!("{report}"));
    let printed = print(&path, &around()).unwrap_or_else(|report| panic!("{report}"));
    fs::write(&path, &printed).unwrap();
    let after = load(&path, &around()).unwrap_or_else(|report| panic!("{report}\n{printed}"));
    assert_eq!(same(before), same(after), "{printed}");
    printed
}

/// The order of variables does not matter.
fn same(mut config: Config) -> Config {
    config.services.iter_mut().for_each(|service| service.env.sort());
    config
}

#[track_caller]
fn says(printed: &str, row: &str, origin: &str) {
    let found = printed.lines().find(|line| line.starts_with(row));
    let found = found.unwrap_or_else(|| panic!("no `{row}` in\n{printed}"));
    assert!(found.ends_with(&format!("# {origin}")), "{found}");
}

const FILE: &str = r#"namespace = "blue"
drain = "3s"
[defaults]
spin = "5us"
limits = { slots = 8 }
workers = { min = 1, max = 3 }
env = { A = "1", "B b" = "say \"hi\"" }
[service.echo]
builtin = "echo"
limits.deadline = "2s"
hang = "none"
[service.true]
program = "true"
args = ["a b", 'c"d']
workers = 2
kill = "9s"
restart = { limit = "none" }
allow = { users = ["root", 7] }
"#;

#[test]
fn every_value_says_where_it_came_from() {
    let printed = printed(FILE);
    says(&printed, "run_dir = \"/run/speedysvc\"", "default, of root");
    says(&printed, "namespace = \"blue\"", "service.toml:1");
    says(&printed, "size = \"16MiB\"", "default");
    let (echo, program) = printed.split_once("[service.true]").unwrap();
    let echo = echo.split_once("[service.echo]").unwrap().1;
    says(echo, "builtin = \"echo\"", "service.toml:9");
    says(echo, "listen = []", "default");
    says(echo, "workers.min = 1", "service.toml:6, [defaults]");
    says(echo, "workers.max = 3", "service.toml:6, [defaults]");
    says(echo, "workers.up = 70", "default");
    says(echo, "limits.slots = 8", "service.toml:5, [defaults]");
    says(echo, "limits.deadline = \"2s\"", "service.toml:10");
    says(echo, "spin = \"5us\"", "service.toml:4, [defaults]");
    says(echo, "drain = \"3s\"", "service.toml:2");
    says(echo, "kill = \"2s\"", "default");
    says(echo, "hang = \"none\"", "service.toml:11");
    says(echo, "env.A = \"1\"", "service.toml:7, [defaults]");
    says(program, "program = \"/", "service.toml:13");
    says(program, "workers.min = 2", "service.toml:15");
    says(program, "restart.limit = \"none\"", "service.toml:17");
    says(program, "restart.backoff = \"100ms..30s\"", "default");
    says(program, "allow.users = [\"root\", 7]", "service.toml:18");
}

#[test]
fn the_variable_that_names_the_run_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.toml");
    fs::write(&path, "[service.echo]\nbuiltin = \"echo\"\n").unwrap();
    let by_variable = Surroundings { run_dir_env: Some("/e".into()), ..around() };
    says(&print(&path, &by_variable).unwrap(), "run_dir = \"/e\"", "SPEEDYSVC_RUN_DIR");
    let by_xdg = Surroundings { is_root: false, xdg_runtime_dir: Some("/x".into()), ..around() };
    says(&print(&path, &by_xdg).unwrap(), "run_dir = \"/x/speedysvc\"", "default, from XDG_RUNTIME_DIR");
    assert!(print(Path::new("/nowhere/service.toml"), &around()).is_err());
}

/// A value for every key that a service may have; the test below fails when a key is added and not printed.
const ALL: &str = r#"
[service.x]
program = "true"
"#;

const WEB: &str = r#"
[web]
listen = "0.0.0.0:1"
insecure = true
token_file = "/t"
hosts = ["dash.example"]
history = "/h"
report = "/r"
"#;

#[test]
fn no_key_is_left_out() {
    let process = "run_as = { user = \"a\", group = 7, groups = [\"b\"] }\nrlimits = { nofile = 5 }\n";
    let builtin = "[service.echo]\nbuiltin = \"echo\"\nenv = { A = \"1\" }\nworkers = { max = 2 }\n";
    let with_builtin = printed(&format!("{builtin}{process}"));
    let all = format!("{}{with_builtin}", printed(&format!("[log]\ndir = \"/l\"\n{WEB}{ALL}")));
    for key in speedysvc_config::keys() {
        let row = |line: &str| line.starts_with(&format!("{key} =")) || line.contains(&format!(".{key} ="));
        let table = format!("{key}.");
        assert!(all.lines().any(|line| row(line) || line.starts_with(&table)), "`{key}` is not printed");
    }
}

proptest! {
    #[test]
    fn whatever_is_said_is_printed_so_that_it_means_the_same(
        workers in prop_oneof![
            (1..9_u16).prop_map(|n| format!("workers = {n}\n")),
            (1..4_u16, 4..9_u16).prop_map(|(min, max)| format!("workers = {{ min = {min}, max = {max} }}\n")),
            Just("workers = { max = 5, rule = \"cpu\", queue = \"1ms\" }\n".to_owned()),
            Just(String::new()),
        ],
        defaults in prop::collection::vec(prop_oneof![
            Just("drain = \"1s\""), Just("hang = \"none\""), Just("spin = \"0\""), Just("trust = \"never\""),
            Just("driver = \"epoll\""), Just("limits.slots = 3"), Just("restart.limit = \"2 in 9s\""),
            Just("allow.groups = [1]"), Just("workers.max = 7"), Just("env.A = \"\\n\\u0007'\""),
        ], 0..4),
        deadline in 1..90_u64,
    ) {
        let mut defaults = defaults;
        defaults.sort_unstable();
        defaults.dedup();
        let text = format!(
            "[defaults]\n{}\n[service.a]\nbuiltin = \"echo\"\nlimits.deadline = \"{deadline}s\"\n{workers}\
             [service.b]\nprogram = \"true\"\nafter = [\"a\"]\nlisten = [\"tcp://[::1]:0\"]\n",
            defaults.join("\n")
        );
        printed(&text);
    }
}
