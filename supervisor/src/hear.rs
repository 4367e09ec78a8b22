//! What clients and workers told the broker: news for the policy, and complaints for the log.

use speedysvc_broker::{Event as Report, Peer, ServiceKey};
use speedysvc_protocol::control::operator::Level;

use crate::StartError;
use crate::lines::plain;
use crate::policy::{EXTENSION_MAX, Event};
use crate::run::Supervisor;

impl Supervisor<'_, '_> {
    pub(crate) fn hear(&mut self, report: Report) -> Result<(), StartError> {
        match report {
            Report::Ready { service, worker, driver, why } => {
                let driver = if why.is_empty() { plain(&driver) } else { plain(&format!("{driver} ({why})")) };
                self.hands.note_driver(service, driver);
                self.feed(Event::Ready { service, worker })
            }
            Report::Starting { service, worker, more, what } => {
                // Whoever started us has a limit of its own for our start.
                self.notifier.extend(more.min(EXTENSION_MAX));
                self.feed(Event::NeedsTime { service, worker, more, what: plain(&what) })
            }
            Report::Failed { service, worker, why } => self.feed(Event::Failed { service, worker, why: plain(&why) }),
            Report::HungUp { service, worker } => self.feed(Event::HungUp { service, worker }),
            Report::Misbehaved { service, link, peer, rule } => {
                let what = format!("broke the protocol and lost its link {}: {}", link.0, plain(&rule));
                self.complain(service, peer, &what);
                Ok(())
            }
            Report::Muted { service, link, peer } => {
                let what = format!("rings without a call: the bell of its link {} is left out of the wait", link.0);
                self.complain(service, peer, &format!("{what} and looked at each millisecond"));
                Ok(())
            }
            Report::Refused { service, peer, why } => {
                self.complain(service, peer, &format!("was refused: {}", plain(&why)));
                Ok(())
            }
            Report::Crowded { service, peer } => {
                self.complain(service, peer, "was hung up on: its user has too many clients that do not greet");
                Ok(())
            }
            Report::HeldBack { service, peer } => {
                let what =
                    "has to wait for its link, as others of its user will: they attach too often, one after the other";
                self.complain(service, peer, what);
                Ok(())
            }
            Report::CannotServe { service, worker, link, peer, why } => {
                let no_room = format!("worker {} has no room for its link {}: {}", worker.0, link.0, plain(&why));
                let what = format!("was hung up on: {no_room}; raise the limits, or start fewer");
                self.complain(service, peer, &what);
                Ok(())
            }
            // Clients come and go; the broker keeps count.
            Report::Attached { .. } | Report::Detached { .. } => Ok(()),
        }
    }

    /// Says what a client has done; not all of it, as there is no end to what a client can do.
    fn complain(&mut self, service: ServiceKey, peer: Peer, what: &str) {
        if let Some(left_out) = self.complaints.admit(self.now()) {
            let name = self.hands.name(service);
            let before = if left_out > 0 { format!(" (and {left_out} more lines before)") } else { String::new() };
            self.journal.say(Level::Warn, &format!("{name}: the client with {peer} {what}{before}"));
        }
    }
}
