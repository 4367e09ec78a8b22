//! Workers follow the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use speedysvc_tests::harness::wait_for;

use crate::fixture::{Load, connect, ctl_well, engine, ready_pids, says, service};

#[test]
fn workers_follow_a_load_that_rises_and_falls_and_no_call_fails() {
    // Only how busy they are decides: a slow machine makes anyone wait.
    let windows = "up_after = \"2s\", down_after = \"3s\", queue = \"1h\"";
    let mut engine = engine(&format!("workers = {{ min = 1, max = 2, {windows} }}"));
    let home = engine.home();
    let load = Load::start(&engine);
    assert_eq!(ready_pids(&home, "test").len(), 1);
    // Two callers that are always in a handler.
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (client, stop) = (connect(&engine.address("test")), stop.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    client.sleep_ms(100).unwrap();
                }
            })
        })
        .collect();
    says(&engine, "test: from 1 worker to 2: ");
    wait_for("a second worker", || ready_pids(&home, "test").len() == 2);
    assert!(service(&home, "test")["scaling"].as_str().unwrap().starts_with("from 1 worker to 2: "));
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|caller| caller.join().unwrap());
    says(&engine, "test: from 2 workers to 1: ");
    wait_for("one worker", || ready_pids(&home, "test").len() == 1);
    load.end();
    // What an operator says stays.
    ctl_well(&home, &["scale", "test", "2"]);
    assert!(service(&home, "test")["scaling"].as_str().unwrap().contains("by hand"));
    // Until the rule is asked again, which knows its bounds.
    ctl_well(&home, &["scale", "test", "3"]);
    ctl_well(&home, &["scale", "test", "auto"]);
    says(&engine, "test: from 3 workers to 2: the file says at least 1 and at most 2");
    assert_eq!(engine.stop(), 0);
}
