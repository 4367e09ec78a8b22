//! The dashboard of a real engine: over bare HTTP, and in a browser.
//!
//! | module     | idea |
//! |------------|------|
//! | `fixture`  | an engine with a dashboard, and HTTP in a few lines |
//! | `pages`    | what pages say, also after restarts of workers and of the engine |
//! | `log`      | the log's page without script |
//! | `guard`    | what is refused: rows F1 to F9 of the faults |
//! | `watchers` | slow and greedy visitors: rows F8 and F10 |
//! | `machine`  | metrics, probes, API |
//! | `clients`  | who is connected, and what has passed |
//! | `browser`  | what people see and do |

mod browser;
mod clients;
mod fixture;
mod guard;
mod log;
mod machine;
mod pages;
mod watchers;
