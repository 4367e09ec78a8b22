//! What whole-system tests share: engines that are started and ended for sure, and a service that can be told to do
//! everything a bad handler might.
#![forbid(unsafe_code)]

pub mod chaos;
pub mod harness;
pub mod test_service;
