//! Contenders that other people have made. `bench-harness` starts this program; why it is apart says `README.md`.
//!
//! No lint denies unsafe code, as what Volo generates has some. Ours has none: the tidy test sees to that.

mod calls;
mod peer;
mod peers;

use std::process::ExitCode;

fn main() -> ExitCode {
    bench_harness::peers(&[
        &peers::tokio_uring::PEER,
        &peers::tonic::PEER,
        &peers::tarpc::PEER,
        &peers::capnp::PEER,
        &peers::iceoryx2::PEER,
        &peers::volo::PEER,
    ])
}
