//! Services that come after others.

use std::fs;

use speedysvc_tests::harness::{Home, install, wait_for};

use crate::fixture::service;

/// A service that is ready only when it is let: its program waits for a file first.
#[test]
fn who_comes_after_another_waits_until_it_is_ready() {
    let second = "[service.second]\nbuiltin = \"echo\"\nafter = [\"first\"]\n";
    let home = Home::new(&format!("[service.first]\nprogram = \"./slow\"\n{second}"));
    let slow = home.path().join("slow");
    let gate = home.path().join("gate");
    let real = speedysvc_tests::harness::program("speedysvc-engine");
    let (gate_path, real) = (gate.display(), real.display());
    let script = format!("#!/bin/sh\nwhile [ ! -e {gate_path} ]; do sleep 0.05; done\nexec {real} builtin echo\n");
    install(script.as_bytes(), &slow);
    let mut engine = home.start_unready();
    wait_for("the control socket", || crate::fixture::ctl(&home, &["status"]).code.is_some_and(|code| code != 69));
    let second = service(&home, "second");
    assert_eq!((&second["state"], &second["why"]), (&"waiting".into(), &"it comes after first".into()));
    assert_eq!(second["workers"].as_array().unwrap().len(), 0);
    fs::write(&gate, "").unwrap();
    engine.process().wait_for_line("ready:");
    assert_eq!(engine.stop(), 0);
}
