use std::path::Path;

use super::seed::KEYS;
use super::*;
use crate::{ByteSize, Config, Listen, Log, ScaleRule, Service, Surroundings, load_text};

/// What a table's row expects of the service that was made.
type Expected = fn(&Service) -> bool;

/// Every key of the Python project: how it may be written, what is in force then, and a word of the remark if there is
/// one. `research`: section 1.7 of its inventory.
const TABLE: [(&str, &str, Expected, Option<&str>); 25] = [
    ("import_from", "echo.server", |_| true, Some("class EchoServer of module echo.server")),
    ("log_dir", "/var/log/echo", |_| true, None),
    ("tcp_bind", "127.0.0.1", |to| to.listen == [tcp("127.0.0.1:0")], Some("attribute `port`")),
    ("tcp_bind", "127.0.0.1:5555", |to| to.listen == [tcp("127.0.0.1:5555")], None),
    ("tcp_bind", "localhost:5555", |to| to.listen == [tcp("127.0.0.1:5555")], None),
    ("tcp_bind", "[::1]:5555", |to| to.listen == [tcp("[::1]:5555")], None),
    ("tcp_bind", "0.0.0.0:5555", |to| to.insecure && to.listen == [tcp("0.0.0.0:5555")], Some("no TLS")),
    ("tcp_bind", "myhost", |to| to.listen.is_empty(), Some("not a numeric address")),
    ("bind_tcp", "127.0.0.1:5555", |to| to.listen == [tcp("127.0.0.1:5555")], None),
    ("tcp_compression", "snappy", |_| true, Some("by themselves")),
    ("tcp_allow_insecure_serialisation", "true", |_| true, Some("pickle and marshal are refused")),
    ("tcp_allow_insecure_serialisation", "False", |_| true, None),
    ("tcp_allow_insecure_serialisation", "yes", |_| true, Some("is not true, false")),
    ("max_proc_num", "4", |to| to.workers.get() == 1 && to.scale.is_some_and(|scale| scale.max.get() == 4), None),
    ("max_proc_num", "1", |to| to.workers.get() == 1 && to.scale.is_none(), None),
    ("max_proc_num", "100", |to| to.scale.is_some_and(|scale| scale.max.get() == 64), Some("at most 64")),
    ("max_proc_num", "0", |to| to.workers.get() == 1 && to.scale.is_none(), Some("not a whole number")),
    ("min_proc_num", "3", |to| to.workers.get() == 3 && to.scale.is_none(), None),
    ("max_proc_mem_bytes", "1073741824", |to| to.memory == Some(ByteSize::gib(1)), None),
    ("max_proc_mem_bytes", "1073741825", |to| to.memory == Some(ByteSize::gib(1)), Some("about 1GiB for each")),
    ("max_proc_mem_bytes", "5", |to| to.memory == Some(ByteSize::mib(1)), Some("about 1MiB for each")),
    ("max_proc_mem_bytes", "1e9", |to| to.memory.is_none(), Some("not a whole number")),
    ("wait_until_completed", "1", |_| true, None),
    ("wait_until_completed", "false", |_| true, None),
    ("wait_until_completed", "maybe", |_| true, Some("is not true, false")),
];

fn tcp(address: &str) -> Listen {
    Listen::Tcp(address.parse().unwrap())
}

/// The file that was made, as `check` reads it once its programs are there.
fn checked(imported: &Imported) -> Config {
    let programs = tempfile::tempdir().unwrap();
    let names = imported.toml.lines().filter_map(|line| line.strip_prefix("program = \"")?.strip_suffix('"'));
    for name in names {
        let program = programs.path().join(name);
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let around = Surroundings { engine_dir: Some(programs.path().to_owned()), is_root: true, ..Default::default() };
    load_text(&imported.toml, Path::new("/etc/service.toml"), &around)
        .unwrap_or_else(|report| panic!("{report}\n{}", imported.toml))
}

#[test]
fn every_key_is_in_the_table() {
    for key in KEYS {
        assert!(TABLE.iter().any(|(in_table, ..)| *in_table == key), "{key}");
    }
}

#[test]
fn every_key_is_translated_or_remarked_on() {
    for (key, value, expected, word) in TABLE {
        for ini in [
            format!("[EchoServer]\nimport_from = echo.server\n{key} = {value}\n"),
            format!("[defaults]\n{key} = {value}\n\n[EchoServer]\nimport_from = echo.server\n"),
        ] {
            let imported = import(&ini).unwrap();
            let config = checked(&imported);
            let [service] = &config.services[..] else { panic!("one service: {}", imported.toml) };
            assert_eq!(service.name.as_str(), "echo-server");
            assert!(expected(service), "{key} = {value}: {}", imported.toml);
            let of_key = |remark: &&String| remark.starts_with(&format!("[EchoServer] {key}: "));
            let remarks: Vec<&String> = imported.remarks.iter().filter(of_key).collect();
            match word {
                Some(word) => {
                    assert!(remarks.iter().any(|remark| remark.contains(word)), "{key} = {value}: {remarks:?}")
                }
                None => assert!(remarks.is_empty(), "{key} = {value}: {remarks:?}"),
            }
        }
    }
}

#[test]
fn scaling_keeps_the_rule_and_its_numbers() {
    let imported = import("[A]\nimport_from = a\nmin_proc_num = 2\nmax_proc_num = 5\n").unwrap();
    let scale = checked(&imported).services[0].scale.unwrap();
    assert_eq!((scale.rule, scale.up, scale.down), (ScaleRule::Cpu, 30, 30));
    assert_eq!((scale.up_after.as_secs(), scale.down_after.as_secs()), (20, 240));
    let less = import("[A]\nimport_from = a\nmin_proc_num = 5\nmax_proc_num = 2\n").unwrap();
    assert_eq!(checked(&less).services[0].workers.get(), 5);
    assert!(less.remarks.iter().any(|remark| remark.contains("less than min_proc_num")), "{:?}", less.remarks);
}

#[test]
fn memory_of_all_workers_is_shared_out() {
    let imported =
        import("[A]\nimport_from = a\nmin_proc_num = 2\nmax_proc_num = 4\nmax_proc_mem_bytes = 4294967296\n").unwrap();
    assert_eq!(checked(&imported).services[0].memory, Some(ByteSize::gib(1)));
    assert!(imported.remarks.iter().any(|remark| remark.contains("each of 4 gets its share")), "{imported:?}");
}

#[test]
fn whoever_was_waited_for_comes_first() {
    let ini =
        "[Db]\nimport_from = db\nwait_until_completed = true\n[Log]\nimport_from = log\n[Web]\nimport_from = web\n";
    let config = checked(&import(ini).unwrap());
    let after: Vec<Vec<&str>> =
        config.services.iter().map(|service| service.after.iter().map(|name| name.as_str()).collect()).collect();
    assert_eq!(after, [vec![], vec!["db"], vec!["db"]]);
}

#[test]
fn logs_go_to_one_folder() {
    let one = import("[defaults]\nlog_dir = /var/log/x\n[A]\nimport_from = a\n[B]\nimport_from = b\n").unwrap();
    assert_eq!(checked(&one).log.dir.as_deref(), Some(Path::new("/var/log/x")));
    assert!(!one.remarks.iter().any(|remark| remark.contains("log_dir")), "{:?}", one.remarks);
    let two = import("[A]\nimport_from = a\nlog_dir = /a\n[B]\nimport_from = b\nlog_dir = /b\n").unwrap();
    assert_eq!(checked(&two).log.dir.as_deref(), Some(Path::new("/a")));
    assert!(two.remarks.iter().any(|remark| remark.starts_with("log_dir: ")), "{:?}", two.remarks);
    assert_eq!(checked(&import("[A]\nimport_from = a\n").unwrap()).log, Log::default());
}

#[test]
fn the_web_monitor_and_unknown_keys_are_remarked_on() {
    let ini = "[web monitor]\nhost = 0.0.0.0\nport = 5155\ncolour = red\n[A]\nimport_from = a\nretries = 3\n";
    let imported = import(ini).unwrap();
    for word in ["host = 0.0.0.0", "port = 5155", "colour", "[A] retries: "] {
        assert!(imported.remarks.iter().any(|remark| remark.contains(word)), "{word}: {:?}", imported.remarks);
    }
    assert_eq!(checked(&imported).services.len(), 1);
    let imported = import("[web monitor]\nhost = localhost\nport = 6000\n[A]\nimport_from = a\n").unwrap();
    let listen = checked(&imported).web.map(|web| web.listen.to_string());
    assert_eq!(
        (listen.as_deref(), imported.remarks.iter().any(|remark| remark.contains("web"))),
        (Some("127.0.0.1:6000"), false)
    );
}

#[test]
fn comments_cases_and_signs_are_read_as_they_were() {
    let imported = import("# hi\n[HelloServer]\nimport_from = a.b  \nlog_dir = /a#b;c=\"d\n").unwrap();
    assert_eq!(checked(&imported).log.dir.as_deref(), Some(Path::new("/a#b;c=\"d")));
}

#[test]
fn what_is_no_service_ini_is_refused() {
    for text in ["", "# nothing\n", "[defaults]\nlog_dir = /x\n", "import_from = a\n", "[A\nimport_from = a\n"] {
        let refused = import(text);
        assert!(refused.is_err(), "{text:?}: {refused:?}");
    }
}
