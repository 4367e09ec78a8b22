//! One file for each. What they are, with their settings and limits, says the harness: `bench-harness list`.

pub mod capnp;
pub mod iceoryx2;
pub mod tarpc;
pub mod tokio_uring;
pub mod tonic;
pub mod volo;
