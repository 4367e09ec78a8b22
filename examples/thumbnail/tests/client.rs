//! The client program, as a person runs it.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{FIT, Host, picture, pictures};

fn run(folder: &Path, out: &Path, address: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thumbnail-client"));
    command.args([folder, out]).args(["--address", address, "--width", "100", "--height", "80"]);
    command.args(more).output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_folder_becomes_a_folder_of_thumbnails() {
    let host = Host::start(1 << 20);
    let folder = tempfile::tempdir().unwrap();
    for (address, out) in host.addresses().iter().zip(["shm", "tcp"]) {
        let out = folder.path().join(out);
        let output = run(&pictures(), &out, address, &["--verify", "--jobs", "3"]);
        let (said, problems) = texts(&output);
        assert_eq!((output.status.code(), problems.as_str()), (Some(0), ""));
        assert!(said.starts_with("4 images, 0 failed, ") && said.ends_with(" MB/s in\n"), "{said}");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 4);
        let horse = fs::read(out.join("horse.png.jpg")).unwrap();
        assert_eq!(Ok(horse), thumbnail::make(&picture("horse.png"), FIT));
    }
}

#[test]
fn what_fails_is_named_and_the_rest_go_on() {
    let host = Host::start(40_000);
    let folder = tempfile::tempdir().unwrap();
    let sub = folder.path().join("sub");
    fs::create_dir(&sub).unwrap();
    fs::write(folder.path().join("empty.PNG"), b"").unwrap();
    fs::write(sub.join("large.jpg"), picture("grace_hopper.jpg")).unwrap();
    fs::write(sub.join("good.jpeg"), picture("hopper_orientation_6.jpg")).unwrap();
    for address in host.addresses() {
        let out = folder.path().join("out");
        let output = run(folder.path(), &out, &address, &["--recursive", "--verify"]);
        let (said, problems) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{problems}");
        assert!(said.starts_with("3 images, 2 failed, "), "{said}");
        assert_eq!(problems.lines().count(), 2, "{problems}");
        assert!(problems.contains("empty.PNG: the picture is broken: it is empty"), "{problems}");
        let large = problems.lines().find(|line| line.contains("sub/large.jpg")).unwrap();
        assert!(large.contains("61306 bytes") && large.contains("40000"), "{large}");
        assert!(out.join("sub/good.jpeg.jpg").exists());
        fs::remove_dir_all(out).unwrap();
    }
}

#[test]
fn without_a_service_the_code_is_69() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = format!("shm://{}/thumbnail.sock", folder.path().display());
    let output = run(&pictures(), &folder.path().join("out"), &nobody, &[]);
    let (said, problems) = texts(&output);
    assert_eq!((output.status.code(), said.as_str()), (Some(69), ""));
    assert!(problems.contains("UNAVAILABLE") && problems.contains("thumbnail.sock"), "{problems}");
}
