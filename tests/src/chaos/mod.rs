//! Calls by the million while workers are killed: each is answered once, or fails with the truth about whether it ran.
//!
//! | module       | idea |
//! |--------------|------|
//! | [`api`]      | the service under fire |
//! | [`plan`]     | what each call sends and what must come back, from a seed |
//! | [`record`]   | what the handlers write down before they answer |
//! | [`service`]  | the handlers |
//! | [`caller`]   | one call: made, answered, compared |
//! | [`load`]     | the threads that call |
//! | [`killer`]   | SIGKILL, and a watch for calls that never end |
//! | [`checker`]  | what callers were told against what was written down |
//! | [`sabotage`] | mistakes on purpose, which the checker must find |
//! | `stage`      | engine, clients and comparison, as a run and a storm have them |
//! | [`mod@run`]  | all of it, from start to verdict |
//! | [`mod@storm`] | kills, stops, reloads, scaling and a full disk at once |

pub mod api;
pub mod caller;
pub mod checker;
pub mod killer;
pub mod load;
pub mod plan;
pub mod record;
pub mod run;
pub mod sabotage;
pub mod service;
mod stage;
pub mod storm;

pub use run::{Options, Report, Transport, run};
pub use sabotage::Sabotage;
pub use storm::{Stormed, Weather, storm, usual_span};
