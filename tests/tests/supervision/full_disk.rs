//! A disk that is full under a running engine: lines are lost and counted, and nobody waits.

use std::fs;

use speedysvc_tests::harness::{Home, SmallDisk, wait_for};

use crate::fixture::{Load, connect, ctl_well, file, status};

#[test]
fn a_full_disk_holds_up_no_call_and_is_told_of() {
    let home = Home::new(&format!("[log]\ndir = \"log\"\nsize = \"16KiB\"\nkeep = 1\n{}", file("workers = 2")));
    let disk = SmallDisk::at(&home.path().join("log"), 128, &["engine.log", "test.log"]);
    println!("the disk: {}", disk.about());
    let mut engine = home.start();
    let lost = || status(&home)["log_lines_lost"].as_u64().expect("a number");
    disk.fill();
    let load = Load::start(&engine);
    let client = connect(&engine.address("test"));
    // More than any buffer on the way holds, were somebody to wait.
    let text = "the disk is full\n".repeat(200);
    wait_for("lines to be lost", || {
        client.print(&text, false).unwrap();
        lost() > 100
    });
    load.wait_for_more();
    // The engine itself is as well as before: it can be asked, and steered.
    assert!(ctl_well(&home, &["status"]).contains("lines of the log were lost: too fast, or the disk is full"));
    ctl_well(&home, &["restart", "test"]);
    load.wait_for_more();
    // In memory they are all the same.
    assert!(ctl_well(&home, &["logs", "test", "--grep", "disk is full"]).contains("disk is full"));
    if disk.is_a_disk() {
        disk.empty();
        let log = home.path().join("log/test.log");
        wait_for("a line on the disk that has room again", || {
            client.print("there is room again", false).unwrap();
            fs::read_to_string(&log).is_ok_and(|text| text.contains("there is room again"))
        });
        let whole = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.lines().all(whole), "no half of a line is left of when it was full: {text}");
    }
    load.end();
    disk.fill();
    assert_eq!(engine.stop(), 0, "a full disk keeps nobody from stopping");
}
