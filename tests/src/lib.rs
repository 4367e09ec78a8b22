//! What whole-system tests share: engines that are started and ended for sure, a service that can be told to do
//! everything a bad handler might, and clients that break every rule.
#![deny(unsafe_code)]

pub mod chaos;
pub mod cost;
pub mod handlers_service;
pub mod harness;
#[expect(unsafe_code, reason = "clients that break rules write shared memory as they like")]
pub mod hostile;
pub mod test_service;
