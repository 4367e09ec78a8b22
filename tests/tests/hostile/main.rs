//! Hostile and dying processes: what the fault table in `docs/faults.md` promises, row by row.
//!
//! | module     | what must hold |
//! |------------|----------------|
//! | `attacks`  | whoever breaks rules harms nobody else, and is named |
//! | `large`    | the same of requests that are large enough to be read where they lie |
//! | `shortage` | where there is no memory for a link, its client is told so, and nobody else notices |
//! | `identity` | who may attach, and what others' processes keep for themselves |
//! | `clients`  | clients that die leave nothing behind |
//! | `workers`  | workers that die, hang or are stopped: what their callers are told is so |
//! | `brokers`  | a client believes no broker either |
#![forbid(unsafe_code)]

mod attacks;
mod brokers;
mod clients;
mod identity;
mod large;
mod shortage;
mod siege;
mod workers;
