//! The supervisor under real processes: control, logs, restarts, reloads.
//!
//! | module    | idea |
//! |-----------|------|
//! | `fixture` | an engine with the test service, `ctl`, and a load whose every failure is kept |
//! | `control` | `ctl`: what it says, what it does, what it refuses |
//! | `rolling` | restarts, reloads and scaling under load: no call fails, no connection is refused |
//! | `scaling` | workers follow the load |
//! | `order`   | who is not ready yet |
//! | `races`   | orders that cross each other, and calls that cross orders |
//! | `logs`    | what workers print and log |
//! | `top`     | the live view, on a terminal and elsewhere |
//! | `full_disk` | lines are lost, and nobody waits |
//! | `hanging` | loops that do not move |

mod control;
mod fixture;
mod full_disk;
mod hanging;
mod killed;
mod launching;
mod logs;
mod memory;
mod neighbours;
mod order;
mod races;
mod rolling;
mod scaling;
mod top;
