//! `ctl`: see, and steer, a running engine.
//!
//! | module      | idea |
//! |-------------|------|
//! | `arguments` | the command line |
//! | `socket`    | the operator's end of the control socket |
//! | `show`      | replies for people |
//! | `top`       | the live view |

pub(crate) mod arguments;
mod show;
mod socket;
mod top;

use std::process::ExitCode;

use speedysvc_protocol::control::operator::{LogQuery, Reason, Reply, Request};

use crate::exit;
use crate::out::line as print;
use arguments::{Ctl, CtlVerb};
pub(crate) use show::time;
use socket::{Socket, parse};

/// `status`: not all is well.
const NOT_WELL: u8 = 3;

pub(crate) fn ctl(ctl: &Ctl) -> ExitCode {
    match obey(ctl) {
        Ok(code) | Err(code) => code,
    }
}

fn obey(ctl: &Ctl) -> Result<ExitCode, ExitCode> {
    let request = match &ctl.verb {
        CtlVerb::Top { count, every } => return top::top(ctl, *count, *every),
        CtlVerb::Logs { follow: true, .. } => return follow(ctl),
        CtlVerb::Drain => return drain(ctl),
        verb => request(verb)?,
    };
    let (text, reply) = Socket::connect(ctl)?.ask(&request)?;
    if ctl.json {
        print(&text)?;
    } else if !matches!(reply, Reply::Refused { .. }) {
        print(show::reply(&reply, &ctl.verb).trim_end())?;
    }
    Ok(code_of(&reply, ctl.json))
}

fn request(verb: &CtlVerb) -> Result<Request, ExitCode> {
    Ok(match verb {
        CtlVerb::Status | CtlVerb::Driver | CtlVerb::Top { .. } => Request::Status,
        CtlVerb::Stats { service } => Request::Stats { service: service.clone() },
        CtlVerb::Start { services } => Request::Start { services: services.clone() },
        CtlVerb::Stop { services } => Request::Stop { services: services.clone() },
        CtlVerb::Restart { services } => Request::Restart { services: services.clone() },
        CtlVerb::Reload { dry_run } => Request::Reload { dry_run: *dry_run },
        CtlVerb::Drain => Request::Drain,
        CtlVerb::Level { level, service } => Request::Level { service: service.clone(), level: (*level).into() },
        CtlVerb::Scale { service, workers } => {
            let workers = match workers.as_str() {
                "auto" => None,
                number => Some(number.parse().map_err(|_| {
                    exit::say(&format_args!("`{number}` is neither a number of workers nor `auto`"), exit::USAGE)
                })?),
            };
            Request::Scale { service: service.clone(), workers }
        }
        CtlVerb::Logs { service, worker, level, grep, lines, follow } => Request::Logs(LogQuery {
            service: service.clone(),
            worker: *worker,
            level: level.map(Into::into),
            text: grep.clone(),
            tail: *lines,
            follow: *follow,
        }),
    })
}

/// What a script learns from it.
fn code_of(reply: &Reply, said: bool) -> ExitCode {
    let (reason, why) = match reply {
        Reply::Refused { reason, why } => (reason, why),
        Reply::Status(status) if !status.well => return ExitCode::from(NOT_WELL),
        _ => return ExitCode::SUCCESS,
    };
    let code = match reason {
        Reason::Usage => exit::USAGE,
        Reason::Config => exit::CONFIG,
        Reason::Failed => exit::FAILED,
        Reason::Stopping => exit::UNAVAILABLE,
    };
    if said { ExitCode::from(code) } else { exit::say(why, code) }
}

/// Lines as they come, until one of both ends.
fn follow(ctl: &Ctl) -> Result<ExitCode, ExitCode> {
    let mut socket = Socket::connect(ctl)?;
    socket.send(&request(&ctl.verb)?)?;
    socket.wait_forever()?;
    while let Some(text) = socket.receive_text()? {
        let reply = parse(&text)?;
        if matches!(reply, Reply::Refused { .. }) {
            return Ok(code_of(&reply, false));
        }
        let shown = if ctl.json { text } else { show::reply(&reply, &ctl.verb).trim_end().to_owned() };
        if !shown.is_empty() {
            print(&shown)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Done when the engine has hung up, which it does at its end.
fn drain(ctl: &Ctl) -> Result<ExitCode, ExitCode> {
    let mut socket = Socket::connect(ctl)?;
    let (text, reply) = socket.ask(&Request::Drain)?;
    if ctl.json {
        print(&text)?;
    }
    while socket.receive_text()?.is_some() {}
    Ok(code_of(&reply, ctl.json))
}
