//! Clients and workers that break every rule: what the fault tables promise is tested with these as real processes.
//!
//! | module      | idea |
//! |-------------|------|
//! | [`layout`]  | where the words lie, counted by hand from `docs/protocol.md` |
//! | [`memory`]  | a mapping that is written as its owner likes; the unsafe code |
//! | [`link`]    | a link attached through the real socket, and calls made store by store |
//! | [`ground`]  | where and how long an attack goes on |
//! | [`attacks`] | one verb of the program `hostile` for each attack |
//! | [`worker`]  | a worker that dies between any two of its stores |
//! | [`crash`]   | the ways in which a handler's process ends |

pub mod attacks;
pub mod crash;
pub mod ground;
pub mod layout;
pub mod link;
pub mod memory;
pub mod worker;
