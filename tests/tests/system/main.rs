//! The whole system: real programs, real signals, real traffic, over both transports where both can show it.
//!
//! | module        | what must hold |
//! |---------------|----------------|
//! | `beside`      | handlers that block, await or run long hold up nobody else, and are answered all the same |
//! | `cli`         | the command line does what `--help` says |
//! | `context`     | a handler knows its call, its caller and its time |
//! | `lifecycle`   | engines start, stop and die without leaving anything behind |
//! | `deadlines`   | a call inside a handler has what is left of the call that it is part of |
//! | `deaths`      | a worker's death costs the calls that it had begun, and nothing else |
//! | `drivers`     | io_uring and epoll are chosen as said, and epoll makes do without io_uring |
//! | `duplicates`  | whatever a peer repeats, and whoever dies: no call runs twice |
//! | `limits`      | every size up to the limit crosses, and one byte more is an error that says so |
//! | `errors`      | what goes wrong is told as it is |
//! | `sharing`     | many callers, many clients, and no work without calls |
//! | `sockets`     | every address of a service leads to it, and to nobody who may not |
//! | `standard`    | every service says how it is and what it offers |
//! | `started`     | calls that are started and awaited keep all promises of blocking ones |
//! | `traces`      | a call's trace goes along with it, into the log and into what its handler calls |
//! | `turns`       | long handlers hold up nobody else, and have their turns in the order of coming |
//! | `stats`       | every call is counted once, also when its worker has died since |
//! | `embedded`    | services without an engine, and the example as written |
//! | `peers`       | peers of sockets that mean no good cost themselves, and nobody else |
//! | `wire`        | compression and checksums are agreed, pay, and are of no use to an attacker |
//! | `http`        | curl and scripts are clients, and nothing that could be two requests is one |
//! | `in_process`  | services for unit tests behave as over any transport, and faults come as said |
//! | `versions`    | clients, programs and engines of other versions are understood, or told clearly why not |
//! | `other_language` | a client written from docs/protocol.md alone is understood, and the page for Python is true |
#![forbid(unsafe_code)]

mod beside;
mod cli;
mod context;
mod deadlines;
mod deaths;
mod drivers;
mod duplicates;
mod embedded;
mod errors;
mod fixture;
mod frames;
mod http;
mod in_process;
mod lifecycle;
mod limits;
mod other_language;
mod peers;
mod retries;
mod routes;
mod sharing;
mod sockets;
mod standard;
mod started;
mod stats;
mod traces;
mod trust;
mod turns;
mod versions;
mod wire;
