//! The shipped service.toml says the truth: it parses, and the defaults in its comments are the code's.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::keys::Home;
use crate::{
    Allow, Builtin, Compression, Config, DEFAULT_DRAIN, DEFAULT_HANG, DEFAULT_KILL, DEFAULT_ORPHAN,
    DEFAULT_START_TIMEOUT, DriverChoice, Launch, Limits, Log, Namespace, Process, Restart, Service, Spin, Surroundings,
    Trust, Web, WorkerCount, load, load_text,
};

const SHIPPED: &str = include_str!("../service.toml");

/// A folder with the program that the shipped file names.
fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("thumbnail-service");
    std::fs::write(&program, "").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn surroundings(programs: &Path) -> Surroundings {
    Surroundings { engine_dir: Some(programs.to_owned()), is_root: true, ..Surroundings::default() }
}

/// The file with every commented-out key in force.
fn uncommented() -> String {
    let key = |line: &str| line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase());
    let line = |line: &'static str| if key(line) { &line[1..] } else { line };
    SHIPPED.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn loaded(text: &str, programs: &Path) -> Config {
    load_text(text, Path::new("service.toml"), &surroundings(programs)).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn it_parses_as_shipped() {
    let programs = programs();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("service.toml");
    let config = load(&path, &surroundings(programs.path())).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.source, path);
    let [echo, thumbnail] = &config.services[..] else { panic!("two services") };
    assert_eq!((echo.name.as_str(), &echo.launch), ("echo", &Launch::Builtin(Builtin::Echo)));
    assert_eq!(echo.listen, [crate::Listen::Tcp("127.0.0.1:5555".parse().unwrap())]);
    let path = programs.path().join("thumbnail-service");
    assert_eq!(thumbnail.launch, Launch::Program { path, args: vec![] });
    assert_eq!(thumbnail.workers.get(), 2);
}

#[test]
fn defaults_in_comments_are_those_in_force() {
    let programs = programs();
    let (shipped, mut said) = (loaded(SHIPPED, programs.path()), loaded(&uncommented(), programs.path()));
    let web = said.web.as_mut().expect("it is on");
    assert!(web.is_written, "this alone is different");
    web.is_written = false;
    assert_eq!(shipped, said, "left: without the commented keys, right: with them");
}

#[test]
fn defaults_in_comments_are_the_constants() {
    let programs = programs();
    let said = loaded(&uncommented(), programs.path());
    assert_eq!(said.run_dir, Path::new("/run/speedysvc"));
    assert_eq!(said.namespace, Namespace::default());
    assert_eq!(said.drain, DEFAULT_DRAIN);
    assert_eq!(said.log, Log::default());
    assert_eq!(said.web, Some(Web { is_written: true, ..Web::default() }));
    let echo = said.services[0].clone();
    let expected = Service {
        workers: WorkerCount::default(),
        scale: None,
        driver: DriverChoice::default(),
        compression: Compression::default(),
        restart: Restart::default(),
        limits: Limits::default(),
        spin: Spin::default(),
        trust: Trust::default(),
        allow: Allow::default(),
        drain: DEFAULT_DRAIN,
        kill: DEFAULT_KILL,
        hang: Some(DEFAULT_HANG),
        orphan: DEFAULT_ORPHAN,
        memory: None,
        process: Process::default(),
        after: Vec::new(),
        start_timeout: DEFAULT_START_TIMEOUT,
        env: Vec::new(),
        ..echo.clone()
    };
    assert_eq!(echo, expected);
}

#[test]
fn every_key_is_in_it() {
    let text = uncommented();
    for key in Home::ALL.iter().flat_map(|home| home.keys()) {
        let (assigned, table) = (format!("{key} = "), format!("[{key}"));
        assert!(text.contains(&assigned) || text.contains(&table), "`{key}` is not in service.toml");
    }
    let defaults = text.split("[defaults]").nth(1).and_then(|rest| rest.split("[service").next()).unwrap();
    for key in Home::Defaults.keys() {
        assert!(defaults.lines().any(|line| line.starts_with(&format!("{key} = "))), "`{key}` in [defaults]");
    }
}
