//! A worker that grows too large is replaced, and nobody notices.

use speedysvc_tests::harness::wait_for;

use crate::fixture::{Load, connect, ctl_well, engine, ready_pids, says, service};

#[test]
fn who_has_too_much_is_replaced_and_no_call_is_lost() {
    let mut engine = engine("workers = 2\nmemory = \"150MiB\"");
    let home = engine.home();
    let load = Load::start(&engine);
    let before = ready_pids(&home, "test");
    let large = u64::from(connect(&engine.address("test")).grow(200).unwrap());
    assert!(before.contains(&large));
    says(&engine, "MiB to itself, and may have 150MiB: it ends when another serves");
    wait_for("its end", || {
        let now = ready_pids(&home, "test");
        now.len() == 2 && !now.contains(&large)
    });
    // The other one was left alone.
    assert!(before.iter().any(|pid| *pid != large && ready_pids(&home, "test").contains(pid)));
    let sentence = service(&home, "test")["memory"].as_str().unwrap_or_default().to_owned();
    assert!(sentence.contains("MiB to itself, and may have 150MiB: another takes its place"), "{sentence}");
    assert!(ctl_well(&home, &["status"]).contains(&sentence));
    assert_eq!(service(&home, "test")["deaths"], 0);
    load.end();
    assert_eq!(engine.stop(), 0);
}
