//! When a client that has greeted gets its link: at once, or once a worker is ready, or when its user's turn comes.

use std::mem;

use rustix::time::{ClockId, clock_gettime};
use speedysvc_protocol::hello::{Hello, Refusal};
use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::Code;

use crate::access::is_trusted;
use crate::client::State;
use crate::paces::Turn;
use crate::service::{LINKS_OF_ANOTHER_USER_MAX, Service};
use crate::watch::Watch;
use crate::{Event, Peer};

impl Service {
    /// A client has said what it wants.
    pub(crate) fn greeted(
        &mut self,
        id: u64,
        hello: Hello,
        next: &mut u64,
        watch: &mut Watch,
        events: &mut Vec<Event>,
    ) {
        match self.contract {
            Some(_) => self.give_link(id, hello, true, next, watch, events),
            None => self.put_off(id, State::Waiting(hello)),
        }
    }

    fn give_link(
        &mut self,
        id: u64,
        hello: Hello,
        is_new: bool,
        next: &mut u64,
        watch: &mut Watch,
        events: &mut Vec<Event>,
    ) {
        // Strangers are refused only now: closing before they have spoken would lose them our answer.
        let may = self.options.allow.check(&self.clients[&id].peer).and_then(|()| self.has_room_for(id));
        if may.is_ok() && !self.is_its_turn(id, watch, events) {
            self.meters.count(Counter::ClientsHeldBack, u64::from(is_new));
            self.put_off(id, State::HeldBack(hello));
            return;
        }
        let link = LinkId(*next);
        *next += 1;
        match may.and_then(|()| self.attach(id, &hello, link, watch)) {
            Ok(event) => events.push(event),
            Err(refusal) => {
                let client = &self.clients[&id];
                if matches!(refusal.code, Code::PermissionDenied | Code::ResourceExhausted) {
                    let (peer, why) = (client.peer(), refusal.message.clone());
                    events.push(Event::Refused { service: self.key, peer, why });
                }
                client.refuse(refusal);
                self.drop_client(id, watch);
            }
        }
    }

    fn put_off(&mut self, id: u64, state: State) {
        self.clients.entry(id).and_modify(|client| client.state = state);
    }

    fn has_room_for(&self, id: u64) -> Result<(), Refusal> {
        let Peer { uid, .. } = self.clients[&id].peer();
        let is_full = || {
            let theirs = self.links.values().filter(|link| link.peer.uid == uid).count();
            theirs >= LINKS_OF_ANOTHER_USER_MAX
        };
        if is_trusted(uid) || !is_full() {
            return Ok(());
        }
        let message = format!("user {uid} has {LINKS_OF_ANOTHER_USER_MAX} links, which is the most that one may have");
        Err(Refusal::new(Code::ResourceExhausted, message))
    }

    /// Whether its user may attach now; if not, this is asked again when it may.
    fn is_its_turn(&mut self, id: u64, watch: &mut Watch, events: &mut Vec<Event>) -> bool {
        let peer = self.clients[&id].peer();
        if is_trusted(peer.uid) {
            return true;
        }
        let Turn::Later { at_ns, is_news } = self.paces.ask(peer.uid, now_ns()) else { return true };
        watch.wake_at(at_ns);
        if is_news {
            events.push(Event::HeldBack { service: self.key, peer });
        }
        false
    }

    /// A worker is ready, or the time has come for which somebody waits: in the order of their coming.
    pub(crate) fn serve_waiting(&mut self, next: &mut u64, watch: &mut Watch, events: &mut Vec<Event>) {
        let waits = |state: &State| matches!(state, State::Waiting(_) | State::HeldBack(_));
        let waiting = self.clients.iter().filter(|(_, client)| waits(&client.state));
        let mut waiting: Vec<u64> = waiting.map(|(id, _)| *id).collect();
        waiting.sort_unstable();
        for id in waiting {
            let client = self.clients.get_mut(&id).expect("nothing was removed since");
            match mem::replace(&mut client.state, State::Greeting) {
                State::Waiting(hello) => self.greeted(id, hello, next, watch, events),
                State::HeldBack(hello) => self.give_link(id, hello, false, next, watch, events),
                state => client.state = state,
            }
        }
    }
}

pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
