//! Code from the schemas, without any program that cargo does not build, and the versions that the lock file has.

use std::env;
use std::fs::{self, File};

use anyhow::{Context, Result, bail};

const LOCK: &str = "Cargo.lock";
/// Whose version the program can tell, as `VERSION_TOKIO_URING`.
const NAMED: &[&str] = &["capnp-rpc", "iceoryx2", "prost", "shmipc", "tarpc", "tokio-uring", "tonic", "volo-thrift"];

fn main() -> Result<()> {
    for input in ["build.rs", "schema", LOCK] {
        println!("cargo:rerun-if-changed={input}");
    }
    let lock = fs::read_to_string(LOCK)?;
    for name in NAMED {
        println!("cargo:rustc-env=VERSION_{}={}", name.replace('-', "_").to_uppercase(), version(&lock, name)?);
    }

    let messages = protox::compile(["echo.proto"], ["schema"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(messages)?;

    // What `capnp compile -o- echo.capnp` says: that program is not cargo's to build.
    let compiled = File::open("schema/echo.capnp.bin")?;
    let module = ["peers", "capnp"].map(Into::into).to_vec();
    capnpc::codegen::CodeGenerationCommand::new()
        .output_directory(env::var("OUT_DIR")?)
        .default_parent_module(module)
        .run(compiled)?;

    volo_build::Builder::thrift().add_service("schema/echo.thrift").write()
}

fn version<'a>(lock: &'a str, name: &str) -> Result<&'a str> {
    let packages = lock.split("[[package]]");
    let value = |package: &'a str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.map(|text| text.trim_matches('"'))
    };
    let mut found = packages.filter(|package| value(package, "name") == Some(name));
    let (Some(package), None) = (found.next(), found.next()) else {
        bail!("{LOCK} must have {name} once");
    };
    value(package, "version").with_context(|| format!("{LOCK} has no version of {name}"))
}
