//! What people get wrong, and what they are told: one mistake each, at the right place, with a way out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;
use speedysvc_config::{Report, Surroundings, load, load_text};

/// A service that is right, to put mistakes beside. Two lines.
const ECHO: &str = "[service.echo]\nbuiltin = \"echo\"\n";

fn surroundings() -> Surroundings {
    Surroundings { is_root: true, ..Surroundings::default() }
}

fn refused(text: &str, surroundings: &Surroundings) -> Report {
    load_text(text, Path::new("service.toml"), surroundings).expect_err(text)
}

/// The only mistake in the text is at `place` and says all of `said`.
#[track_caller]
fn is_told(text: &str, place: &str, said: &[&str]) {
    check(&refused(text, &surroundings()), text, place, said);
}

#[track_caller]
fn check(report: &Report, text: &str, place: &str, said: &[&str]) {
    let shown = report.to_string();
    assert_eq!(report.count(), 1, "one mistake in\n{text}\nbut\n{shown}");
    let place = format!("--> service.toml:{place}\n");
    for part in said.iter().copied().chain([place.as_str(), "1 mistake in service.toml"]) {
        assert!(shown.contains(part), "`{part}` is missing for\n{text}\nin\n{shown}");
    }
}

/// What follows stands in line 3 of the file, in `[service.echo]`.
const IN_SERVICE: &[(&str, &str, &[&str])] = &[
    ("wokers = 2", "3:1", &["unknown key `service.echo.wokers`", "did you mean `workers`?", "keys of service.echo: "]),
    ("Drain = \"1s\"", "3:1", &["did you mean `drain`?"]),
    ("bind = []", "3:1", &["did you mean `listen`?"]),
    ("slots = 4", "3:1", &["it belongs in `limits = { slots = ... }`"]),
    ("namespace = \"a\"", "3:1", &["it belongs at the top of the file: `namespace = ...`"]),
    ("trust = \"always\"", "3:9", &["\"same-user\"", "\"never\""]),
    ("limits = { slot = 4 }", "3:12", &["`service.echo.limits.slot`", "did you mean `slots`?"]),
    ("workers = \"2\"", "3:11", &["must not be a string", "expected a whole number from 1 to 64", "did you mean `2`?"]),
    ("workers = 0", "3:11", &["`service.echo.workers` is out of range", "expected a whole number from 1 to 64"]),
    ("workers = 65", "3:11", &["is out of range", "1 to 64"]),
    ("workers = -1", "3:11", &["is out of range", "1 to 64"]),
    ("workers = 1.5", "3:11", &["must not be a float", "1 to 64"]),
    ("workers = { min = 3, max = 2 }", "3:28", &["more at least than at most", "expected at least `min`"]),
    ("workers = { max = 2, up = 101 }", "3:27", &["is out of range", "a whole number from 1 to 100"]),
    ("workers = { max = 2, rule = \"ram\" }", "3:29", &["\"busy\" or \"cpu\""]),
    ("workers = { max = 2, up_after = \"1s\" }", "3:33", &["is out of range"]),
    ("workers = 99999999999999999999999", "3:11", &["1 to 64"]),
    ("drain = 10", "3:9", &["must not be an integer", "write \"10s\" or \"10ms\""]),
    ("drain = \"10\"", "3:9", &["is not a duration", "a unit (ns, us, ms, s, m, h)"]),
    ("drain = \"10 sec\"", "3:9", &["is not a duration", "did you mean `\"10s\"`?"]),
    ("drain = \"2h\"", "3:9", &["is out of range", "expected \"0\" to \"1h\""]),
    ("start_timeout = \"0\"", "3:17", &["expected \"1ms\" to \"1h\""]),
    ("spin = \"2ms\"", "3:8", &["is out of range", "expected at most \"1ms\""]),
    ("spin = 0", "3:8", &["must not be an integer"]),
    ("driver = \"iouring\"", "3:10", &["\"io_uring\" or \"epoll\"", "did you mean `\"io_uring\"`?"]),
    ("compression = \"lz5\"", "3:15", &["\"snappy\" or \"zlib\"", "did you mean `\"lz4\"`?"]),
    ("driver = true", "3:10", &["must not be a boolean", "expected \"auto\", \"io_uring\" or \"epoll\""]),
    ("limits = { shm_message = \"64KB\" }", "3:26", &["is not a size", "did you mean `\"64KiB\"`?"]),
    ("limits = { shm_message = \"2GiB\" }", "3:26", &["expected \"4KiB\" to \"1GiB\""]),
    ("limits = { tcp_message = \"1KiB\" }", "3:26", &["expected \"4KiB\" to \"256MiB\""]),
    ("limits = { tcp_message = 65536 }", "3:26", &["write \"65536KiB\" or \"65536MiB\""]),
    ("limits = { slots = 65 }", "3:20", &["`service.echo.limits.slots` is out of range"]),
    ("limits = { deadline = \"0\" }", "3:23", &["expected \"1ms\" to \"24h\""]),
    ("limits = 64", "3:10", &["must not be an integer", "expected a table"]),
    ("restart = { backoff = \"1s\" }", "3:23", &["is not a range of durations", "\"100ms..30s\""]),
    ("restart = { backoff = \"30s..1s\" }", "3:23", &["longest pause before its first", "did you mean `\"1s..30s\"`?"]),
    ("restart = { backoff = \"1s..30\" }", "3:23", &["a pause of \"30\", which is not a duration"]),
    ("restart = { backoff = \"0..1s\" }", "3:23", &["expected \"1ms\" to \"1h\""]),
    ("restart = { limit = \"never\" }", "3:21", &["\"none\" to never give up"]),
    ("restart = { limit = \"nome\" }", "3:21", &["did you mean `\"none\"`?"]),
    ("restart = { limit = \"5 in 1 min\" }", "3:21", &["is not a limit", "did you mean `\"5 in 1m\"`?"]),
    ("restart = { limit = \"0 in 60s\" }", "3:21", &["expected 1 to 1000 deaths, or \"none\""]),
    ("restart = { limit = 5 }", "3:21", &["must not be an integer", "\"5 in 60s\""]),
    ("listen = \"tcp://127.0.0.1:1\"", "3:10", &["expected a list", "did you mean `[\"tcp://127.0.0.1:1\"]`?"]),
    ("listen = [5555]", "3:11", &["must not be an integer", "did you mean `\"tcp://127.0.0.1:5555\"`?"]),
    ("listen = [\"127.0.0.1:1\"]", "3:11", &["without a scheme", "did you mean `\"tcp://127.0.0.1:1\"`?"]),
    ("listen = [\"tcp://localhost:1\"]", "3:11", &["names are not looked up", "did you mean `\"tcp://127.0.0.1:1\"`?"]),
    (
        "listen = [\"tcp://127.0.0.1\"]",
        "3:11",
        &["not an address and a port", "did you mean `\"tcp://127.0.0.1:5555\"`?"],
    ),
    (
        "listen = [\"tcp://0.0.0.0:1\"]",
        "3:11",
        &["reaches beyond", "TLS and tokens come later", "`insecure = true`", "`\"tcp://127.0.0.1:1\"`"],
    ),
    ("listen = [\"tcp://[::]:1\"]", "3:11", &["reaches beyond this machine", "`\"tcp://[::1]:1\"`"]),
    ("listen = [\"tcp://[::ffff:127.0.0.1]:1\"]", "3:11", &["reaches beyond this machine"]),
    ("listen = [\"unix://x.sock\"]", "3:11", &["not the path of a socket", "unix:///run/echo.sock"]),
    ("listen = [\"unix:///run/\"]", "3:11", &["not the path of a socket"]),
    ("listen = [\"unix:///a\", \"unix:///a\"]", "3:24", &["unix:///a is used twice", "service `echo` has it"]),
    ("listen = [\"http://127.0.0.1:80/\"]", "3:11", &["HTTP is served at", "did you mean `\"tcp://127.0.0.1:80\"`?"]),
    ("listen = [\"https://127.0.0.1:80/\"]", "3:11", &["not supported yet", "did you mean `\"tcp://127.0.0.1:80\"`?"]),
    ("insecure = 1", "3:12", &["must not be an integer", "true or false"]),
    (
        "listen = [\"tpc://127.0.0.1:80\"]",
        "3:11",
        &["unknown scheme `tpc://`", "did you mean `\"tcp://127.0.0.1:80\"`?"],
    ),
    ("listen = [\"shm://echo\"]", "3:11", &["every service is at shm://NAME already"]),
    ("listen = [\"tcp://127.0.0.1:1\", \"tcp://127.0.0.1:1\"]", "3:32", &["TCP port 1 is used twice", "`echo` has it"]),
    ("allow = { users = [\"a b\"] }", "3:20", &["cannot be a name"]),
    ("allow = { users = [4294967295] }", "3:20", &["an id that no account can have"]),
    ("allow = { groups = [-1] }", "3:21", &["an id that no account can have"]),
    ("allow = { user = [] }", "3:11", &["did you mean `users`?"]),
    ("allow = [\"www-data\"]", "3:9", &["must not be an array", "expected a table"]),
    ("env = { A = 1 }", "3:13", &["`service.echo.env.A` must not be an integer", "did you mean `\"1\"`?"]),
    ("env = { A = \"\\u0000\" }", "3:13", &["holds a zero byte"]),
    ("env = { \"A=B\" = \"\" }", "3:17", &["is not a name of an environment variable"]),
    ("run_as = { user = \"a b\" }", "3:19", &["cannot be a name"]),
    ("user = \"web\"", "3:1", &["it belongs in `run_as = { user = ... }`"]),
    ("umask = 27", "3:9", &["must not be an integer", "did you mean `\"27\"`?"]),
    ("umask = \"999\"", "3:9", &["is not a umask", "octal digits"]),
    ("cpus = \"3-1\"", "3:8", &["is not a set of processors", "\"0-3,6\""]),
    ("cpus = 2", "3:8", &["must not be an integer", "did you mean `\"2\"`?"]),
    ("rlimits = { nofiles = 5 }", "3:23", &["`service.echo.rlimits.nofiles` is no bound", "did you mean `nofile`?"]),
    ("rlimits = { nofile = \"5\" }", "3:22", &["must not be a string", "a whole number, or \"unlimited\""]),
    ("rlimits = { as = 5 }", "3:18", &["write \"5KiB\" or \"5MiB\""]),
    ("memory = \"1KiB\"", "3:10", &["is out of range", "expected \"1MiB\""]),
    ("orphan = \"2h\"", "3:10", &["expected \"0\" to \"1h\""]),
    ("working_dir = \"\"", "3:15", &["is empty"]),
    ("program = \"x\"", "3:1", &["either a builtin or a program", "2 | builtin", "this says a builtin"]),
    ("args = []", "3:1", &["a builtin takes no arguments", "remove `args`"]),
    ("builtin = \"echo\"", "3:1", &["`builtin` is set twice", "2 | builtin = \"echo\"\n  | ------- first here"]),
    ("[service.echo]", "3:10", &["[service.echo] is there twice", "first here", "here again"]),
];

#[test]
fn mistakes_in_a_service() {
    for (line, place, said) in IN_SERVICE {
        is_told(&format!("{ECHO}{line}\n"), place, said);
    }
}

const WHOLE: &[(&str, &str, &[&str])] = &[
    ("", "1:1", &["there is no service in this file", "expected at least one [service.NAME]"]),
    ("drain = \"1s\"\n[service]\n", "2:2", &["there is no service in this file"]),
    ("service = 3", "1:11", &["`service` must not be an integer"]),
    ("[[service]]\nname = \"echo\"\n", "1:1", &["`service` must not be a list", "expected [service.NAME]"]),
    ("[service]\nworkers = 2\n", "2:11", &["expected a table, [service.NAME]", "give the service a name"]),
    ("[servce.echo]\nbuiltin = \"echo\"\n", "1:2", &["unknown key `servce`", "did you mean `service`?"]),
    ("[echo]\nbuiltin = \"echo\"\n", "1:2", &["unknown key `echo`", "did you mean [service.echo]?"]),
    ("[service.Echo]\nbuiltin = \"echo\"\n", "1:10", &["cannot be the name", "did you mean [service.echo]?"]),
    ("[service.9]\nbuiltin = \"echo\"\n", "1:10", &["cannot be the name of a service", "starts with a letter"]),
    ("[service.\"../x\"]\nbuiltin = \"echo\"\n", "1:10", &["cannot be the name of a service"]),
    ("[service.echo]\nworkers = 2\n", "1:10", &["nothing to run", "expected `program` or `builtin`"]),
    ("[service.echo]\nexec = \"x\"\n", "2:1", &["did you mean `program`?"]),
    ("[service.echo]\nbuiltin = \"ehco\"\n", "2:11", &["has no choice \"ehco\"", "did you mean `\"echo\"`?"]),
    ("[service.echo]\nprogram = \"\"\n", "2:11", &["`service.echo.program` is empty"]),
    ("[service.echo]\nprogram = [\"x\"]\n", "2:11", &["must not be an array", "expected text in quotes"]),
    ("[service.echo]\nprogram = \"/bin/sh\"\nargs = [1]\n", "3:9", &["must not be an integer", "`\"1\"`"]),
    ("[service.echo]\nbuiltin = echo\n", "2:11", &["text without quotes", "did you mean `\"echo\"`?"]),
    ("[service.echo]\nbuiltin = # soon\n", "2:11", &["a key without a value", "expected a value"]),
    ("[service.echo]\nbuiltin = \"echo\n", "2:16", &["invalid basic string", "expected `\"`"]),
    ("[service.echo\nbuiltin = \"echo\"\n", "1:14", &["syntax: unclosed table", "expected `]`"]),
    ("[service.echo]\nbuiltin \"echo\"\n", "2:9", &["syntax: ", "expected `=`"]),
];

#[test]
fn mistakes_in_the_whole() {
    for (text, place, said) in WHOLE {
        is_told(text, place, said);
    }
}

const AT_THE_TOP: &[(&str, &str, &[&str])] = &[
    ("run_dri = \"/x\"", "1:1", &["did you mean `run_dir`?", "keys at the top of the file"]),
    ("workers = 2", "1:1", &["it belongs in [service.NAME]: `workers = ...`"]),
    ("run_dir = 3", "1:11", &["must not be an integer"]),
    ("run_dir = \"\"", "1:11", &["is empty"]),
    ("namespace = \"My_copy\"", "1:13", &["expected 1 to 32 of a-z", "did you mean `\"my-copy\"`?"]),
    ("namespace = \"..\"", "1:13", &["is not a namespace"]),
    ("defaults = 3", "1:12", &["`defaults` must not be an integer"]),
    ("defaults.program = \"x\"", "1:10", &["`defaults.program`", "it belongs in [service.NAME]: `program = ...`"]),
    ("defaults.listen = []", "1:10", &["it belongs in [service.NAME]: `listen = ...`"]),
    ("defaults.workers = 100", "1:20", &["`defaults.workers` is out of range"]),
    ("drain = 1979-05-27", "1:9", &["must not be a datetime", "expected a duration"]),
];

#[test]
fn mistakes_at_the_top() {
    for (line, place, said) in AT_THE_TOP {
        is_told(&format!("{line} # é\n{ECHO}"), place, said);
    }
}

#[test]
fn more_addresses_than_a_worker_can_be_given() {
    let listen = |count: u16| {
        let addresses: Vec<String> = (1..=count).map(|port| format!("\"tcp://127.0.0.1:{port}\"")).collect();
        format!("{ECHO}listen = [\n{}\n]\n", addresses.join(",\n"))
    };
    assert!(load_text(&listen(15), Path::new("service.toml"), &surroundings()).is_ok());
    is_told(&listen(17), "19:1", &["listens at 17 addresses", "expected at most 15 addresses in `listen`"]);
}

#[test]
fn columns_count_letters() {
    is_told(&format!("{ECHO}env = {{ \"é\" = \"ü\", B = 1 }}"), "3:24", &["`service.echo.env.B`"]);
}

#[test]
fn ports_of_two_services_show_both_places() {
    let text = "[service.b]\nbuiltin = \"echo\"\nlisten = [\"tcp://127.0.0.1:5\"]\n\
                [service.Bad-name]\nbuiltin = \"echo\"\nlisten = [\"tcp://[::1]:5\"]\n";
    let report = refused(text, &surroundings());
    let shown = report.to_string();
    assert_eq!(report.count(), 2, "{shown}");
    for said in ["--> service.toml:6:11", "TCP port 5 is used twice", "3 | listen", "service `b` has it"] {
        assert!(shown.contains(said), "{shown}");
    }
}

#[test]
fn sockets_must_have_room() {
    let over = |length: usize| format!("run_dir = \"/{}\"\n{ECHO}", "x".repeat(length - 1));
    let room = 107 - "/default/echo.sock".len();
    assert!(load_text(&over(room), Path::new("service.toml"), &surroundings()).is_ok());
    is_told(&over(room + 3), "1:11", &["would be 3 bytes too long", "3 bytes shorter", "Unix sockets take 107"]);
    let run_dir_env = Some(format!("/{}", "x".repeat(107)).into());
    let report = refused(ECHO, &Surroundings { run_dir_env, ..Surroundings::default() });
    check(&report, ECHO, "1:10", &["too long", "set a shorter `run_dir`"]);
}

#[test]
fn without_any_run_folder() {
    let shown = refused(ECHO, &Surroundings::default()).to_string();
    assert!(shown.contains("no run folder is known") && shown.contains("add `run_dir = "), "{shown}");
    let relative = Surroundings { run_dir_env: Some("here".into()), ..surroundings() };
    let shown = refused(ECHO, &relative).to_string();
    assert!(shown.contains("SPEEDYSVC_RUN_DIR is `here`, which is relative"), "{shown}");
}

#[test]
fn programs_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    fs::write(place.join("thumbnail-service"), "").unwrap();
    fs::set_permissions(place.join("thumbnail-service"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(place.join("plain"), "").unwrap();
    fs::create_dir(place.join("folder")).unwrap();
    let around = Surroundings { path: vec!["relative".into(), place.into()], ..surroundings() };
    let told = |program: &str, said: &[&str]| {
        let text = format!("[service.a]\nprogram = \"{program}\"\n");
        check(&refused(&text, &around), &text, "2:11", said);
    };
    let here = place.display().to_string();
    told("thumbnail-servic", &["is not there", &format!("looked in {here}"), "did you mean `thumbnail-service`?"]);
    told("nothing-like-it", &["beside the engine or in PATH", &format!("looked in {here}")]);
    told("plain", &["cannot be executed", &format!("chmod +x {here}/plain")]);
    told("folder", &["cannot be executed", &format!("{here}/folder is a folder")]);
    told("./x/y", &["is not there", "relative paths start at the folder of this file"]);
    told(&format!("{here}/thumbnail-servce"), &[&format!("did you mean `{here}/thumbnail-service`?")]);
    told(&format!("{here}/plain"), &["chmod +x"]);
}

#[test]
fn all_mistakes_at_once_in_the_order_of_the_file() {
    let text = "run_dri = \"/x\"\n[defaults]\nspin = \"1s\"\n\
                [service.a]\nbuiltin = \"echo\"\nworkers = 0\nworkers = 1\n\
                drain = 5\nlimits = { slot = 1, deadline = \"x\" }\n\
                listen = [\"unix://x\", \"tcp://127.0.0.1:7\"]\n\
                [service.B]\nprogram = \"nowhere\"\nlisten = [\"tcp://127.0.0.1:7\"]\n[service.c]\n";
    let report = refused(text, &surroundings());
    let shown = report.to_string();
    let places: Vec<&str> =
        shown.lines().filter_map(|line| line.trim_start().strip_prefix("--> service.toml:")).collect();
    let expected = ["1:1", "3:8", "6:11", "7:1", "8:9", "9:12", "9:33", "10:11", "11:10", "12:11", "13:11", "14:10"];
    assert_eq!(places, expected, "{shown}");
    assert_eq!(report.count(), expected.len());
    assert!(shown.ends_with("error: 12 mistakes in service.toml: nothing was changed"), "{shown}");
}

#[test]
fn one_report_looks_like_this() {
    let shown = refused(&format!("{ECHO}wokers = 2\n"), &surroundings()).to_string();
    let expected = "\
error: unknown key `service.echo.wokers`
 --> service.toml:3:1
  |
3 | wokers = 2
  | ^^^^^^ did you mean `workers`?
  |
  = help: keys of service.echo: builtin, program, args, listen, after, workers, driver, compression, restart, \
limits, spin, allow, insecure, trust, drain, kill, hang, orphan, memory, run_as, umask, rlimits, working_dir, cpus, \
env, start_timeout

error: 1 mistake in service.toml: nothing was changed";
    assert_eq!(shown, expected);
}

#[test]
fn syntax_errors_come_together() {
    let report = refused("[service.echo]\nbuiltin = echo\nworkers =\n", &surroundings());
    assert_eq!(report.count(), 2, "{report}");
    assert!(report.to_string().contains("are checked once all of the file is TOML"), "{report}");
    assert!(report.styled().contains("\u{1b}["));
}

#[test]
fn a_table_that_is_there_twice_is_one_mistake() {
    let text = format!("{ECHO}workers = 2\n[service.b]\nbuiltin = \"echo\"\n{ECHO}workers = 3\nspin = \"1s\"\n");
    let report = refused(&text, &surroundings());
    assert_eq!(report.count(), 2, "{report}");
    assert!(report.to_string().contains("--> service.toml:9:8"), "{report}");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("service.toml"), b"# \xff").unwrap();
    let told = |name: &str| load(&at(name), &surroundings()).unwrap_err().to_string();
    assert!(told("servce.toml").contains("cannot read"), "{}", told("servce.toml"));
    assert!(told("servce.toml").contains("/service.toml`?"), "{}", told("servce.toml"));
    assert!(told("other").contains("name the file to use"), "{}", told("other"));
    assert!(told("").contains("Is a directory"), "{}", told(""));
    assert!(told("service.toml").contains("service.toml:1:3") && told("service.toml").contains("UTF-8"));
    fs::write(at("large.toml"), vec![b'#'; 1 << 21]).unwrap();
    assert!(told("large.toml").contains("larger than 1MiB"), "{}", told("large.toml"));
}

const SHIPPED: &str = include_str!("../service.toml");

proptest! {
    /// Whatever is done to a file, it is refused with something to read, or taken.
    #[test]
    fn nothing_panics(
        at in 0..SHIPPED.len(),
        length in 0..40_usize,
        put in "[\\PC\n\"\\[\\]{}=.#]{0,8}",
        uncomment: bool,
    ) {
        let text = if uncomment { SHIPPED.replace("\n#", "\n") } else { SHIPPED.to_owned() };
        let boundary = |at: usize| (0..=at.min(text.len())).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (at, end) = (boundary(at), boundary(at + length));
        let text = format!("{}{put}{}", &text[..at], &text[end..]);
        if let Err(report) = load_text(&text, Path::new("service.toml"), &surroundings()) {
            prop_assert!(report.count() > 0);
            prop_assert!(report.to_string().contains("error: "));
        }
    }
}
