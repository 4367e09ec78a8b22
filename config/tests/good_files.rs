//! What a right file means: inheritance, defaults, places.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use speedysvc_config::{
    ByteSize, Config, DEFAULT_ORPHAN, Launch, Principal, Restart, RestartLimit, Rlimit, RunAs, Scale, ScaleRule, Spin,
    Surroundings, Umask, load, load_text,
};

fn loaded(text: &str) -> Config {
    let surroundings = Surroundings { is_root: true, ..Surroundings::default() };
    load_text(text, Path::new("/etc/speedysvc/service.toml"), &surroundings).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn two_lines_are_enough() {
    let config = loaded("[service.echo]\nbuiltin = \"echo\"\n");
    assert_eq!(config.source, Path::new("/etc/speedysvc/service.toml"));
    assert_eq!(config.run_dir, Path::new("/run/speedysvc"));
    assert_eq!(config.namespace.as_str(), "default");
    let echo = &config.services[0];
    assert!(echo.listen.is_empty() && echo.env.is_empty());
    assert_eq!(echo.workers.get(), 1);
    assert_eq!(echo.restart, Restart::default());
}

#[test]
fn workers_between_the_fewest_and_the_most() {
    let of = |workers: &str| {
        let echo = loaded(&format!("[service.echo]\nbuiltin = \"echo\"\nworkers = {workers}\n")).services.remove(0);
        (echo.workers.get(), echo.scale)
    };
    assert_eq!(of("3"), (3, None));
    let (min, scale) = of("{ min = 2, max = 5, up = 80, queue = \"1ms\" }");
    let scale = scale.unwrap();
    let max = scale.max;
    assert_eq!((min, max.get()), (2, 5));
    assert_eq!(scale, Scale { max, up: 80, queue: Duration::from_millis(1), ..Scale::default() });
    let (min, scale) = of("{ max = 4, rule = \"cpu\" }");
    let scale = scale.unwrap();
    assert_eq!((min, scale), (1, Scale { max: scale.max, ..Scale::seed() }));
    assert_eq!(scale.rule, ScaleRule::Cpu);
}

#[test]
fn services_keep_the_order_of_the_file() {
    let config =
        loaded("service.z.builtin = \"echo\"\n[service.b]\nbuiltin = \"echo\"\n[service.a]\nbuiltin = \"echo\"\n");
    let names: Vec<_> = config.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["z", "b", "a"]);
}

#[test]
fn what_a_service_says_wins_key_by_key() {
    let config = loaded(
        "drain = \"1s\"\n\
         [defaults]\n\
         workers = 3\n\
         limits = { slots = 8, tcp_message = \"1MiB\" }\n\
         restart = { limit = \"none\" }\n\
         allow = { users = [\"www-data\"], groups = [33] }\n\
         env = { A = \"1\", B = \"2\" }\n\
         [service.a]\n\
         builtin = \"echo\"\n\
         limits = { slots = 4 }\n\
         restart = { backoff = \"1s..2s\" }\n\
         allow = { users = [\"1000\"] }\n\
         env = { C = \"3\", A = \"4\" }\n\
         spin = \"0\"\n\
         [service.b]\n\
         builtin = \"echo\"\n\
         workers = 0x10\n\
         drain = \"2s\"\n\
         restart = { limit = \"2 in 1m\" }\n",
    );
    let [a, b] = &config.services[..] else { panic!("two services") };
    assert_eq!((a.workers.get(), b.workers.get()), (3, 16));
    assert_eq!((a.limits.slots.get(), b.limits.slots.get()), (4, 8));
    assert_eq!(a.limits.tcp_message, ByteSize::mib(1));
    assert_eq!((a.drain, b.drain), (Duration::from_secs(1), Duration::from_secs(2)));
    let backoff = (Duration::from_secs(1), Duration::from_secs(2));
    assert_eq!((a.restart.backoff_min, a.restart.backoff_max), backoff);
    assert_eq!(a.restart.limit, None);
    assert_eq!(b.restart.limit, Some(RestartLimit { deaths: 2, within: Duration::from_secs(60) }));
    assert_eq!((&a.allow.users[..], &a.allow.groups[..]), (&[Principal::Id(1000)][..], &[Principal::Id(33)][..]));
    assert_eq!(b.allow.users, [Principal::Name("www-data".into())]);
    let env =
        |pairs: &[(&str, &str)]| -> Vec<_> { pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect() };
    assert_eq!(a.env, env(&[("B", "2"), ("C", "3"), ("A", "4")]));
    assert_eq!(b.env, env(&[("A", "1"), ("B", "2")]));
    assert_eq!(a.spin, Spin::NONE);
}

#[test]
fn a_workers_process_is_inherited_key_by_key() {
    let config = loaded(
        "[defaults]\n\
         run_as = { user = \"web\", groups = [\"video\"] }\n\
         rlimits = { nofile = 64, core = \"0B\" }\n\
         umask = \"027\"\n\
         memory = \"1GiB\"\n\
         working_dir = \"data\"\n\
         [service.a]\n\
         builtin = \"echo\"\n\
         run_as = { group = 7 }\n\
         rlimits = { nofile = \"unlimited\" }\n\
         cpus = \"0-1\"\n\
         orphan = \"0\"\n\
         [service.b]\n\
         builtin = \"echo\"\n\
         umask = \"none\"\n\
         memory = \"none\"\n\
         working_dir = \"none\"\n",
    );
    let [a, b] = &config.services[..] else { panic!("two services") };
    let name = |name: &str| Principal::Name(name.to_owned());
    let run_as = RunAs { user: Some(name("web")), group: Some(Principal::Id(7)), groups: Some(vec![name("video")]) };
    assert_eq!(a.process.run_as, run_as);
    assert_eq!(b.process.run_as, RunAs { group: None, ..run_as });
    assert_eq!(a.process.rlimits, [(Rlimit::Core, Some(0)), (Rlimit::Nofile, None)]);
    assert_eq!(a.process.cpus.as_ref().map(ToString::to_string).as_deref(), Some("0-1"));
    assert_eq!(a.process.working_dir.as_deref(), Some(Path::new("/etc/speedysvc/data")));
    assert_eq!((a.process.umask.map(Umask::bits), b.process.umask), (Some(0o27), None));
    assert_eq!((a.memory, b.memory), (Some(ByteSize::gib(1)), None));
    assert_eq!((a.orphan, b.orphan), (Duration::ZERO, DEFAULT_ORPHAN));
    assert_eq!(b.process.working_dir, None);
}

#[test]
fn defaults_may_say_a_drain_of_their_own() {
    let config = loaded("drain = \"1s\"\ndefaults.drain = \"3s\"\nservice.a.builtin = \"echo\"\n");
    assert_eq!(config.drain, Duration::from_secs(1));
    assert_eq!(config.services[0].drain, Duration::from_secs(3));
}

#[test]
fn addresses_that_may_be_shared() {
    let config = loaded(
        "[service.a]\nbuiltin = \"echo\"\nlisten = [\"tcp://127.0.0.1:5\", \"tcp://[::1]:5\", \"tcp://127.0.0.1:0\"]\n\
         [service.b]\nbuiltin = \"echo\"\nlisten = [\"tcp://127.0.0.1:0\"]\n",
    );
    assert_eq!(config.services[0].listen.len(), 3);
}

#[test]
fn the_run_folder_starts_at_the_file() {
    let config = loaded("run_dir = \"run\"\nservice.a.builtin = \"echo\"\n");
    assert_eq!(config.run_dir, Path::new("/etc/speedysvc/run"));
    let config = loaded("run_dir = \"/x\"\nservice.a.builtin = \"echo\"\n");
    assert_eq!(config.run_dir, Path::new("/x"));
}

fn executable(path: &Path) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "").unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_owned()
}

#[test]
fn programs_are_found_beside_the_engine_then_in_path_then_where_they_are_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let beside = executable(&at("engine/both"));
    let (_, only) = (executable(&at("bin/both")), executable(&at("bin/only")));
    let relative = executable(&at("etc/own/service"));
    fs::create_dir(at("engine/only")).unwrap(); // A folder of that name is not the program.
    let text = format!(
        "[service.a]\nprogram = \"both\"\nargs = [\"-v\", \"\"]\n[service.b]\nprogram = \"only\"\n\
         [service.c]\nprogram = \"own/service\"\n[service.d]\nprogram = \"{}\"\n",
        only.display()
    );
    fs::write(at("etc/service.toml"), text).unwrap();
    let surroundings = Surroundings {
        engine_dir: Some(at("engine")),
        path: vec![at("bin")],
        is_root: true,
        ..Surroundings::default()
    };
    let config = load(&at("etc/service.toml"), &surroundings).unwrap_or_else(|report| panic!("{report}"));
    let found = |index: usize| match &config.services[index].launch {
        Launch::Program { path, args } => (path.clone(), args.len()),
        Launch::Builtin(_) => panic!("a program"),
    };
    let expected = [(beside, 2), (only.clone(), 0), (relative, 0), (only, 0)];
    for (index, expected) in expected.into_iter().enumerate() {
        assert_eq!(found(index), expected);
    }
}
