//! Where a service is found: its socket for clients, its socket for heirs, and the end of both.

use rustix::net::Shutdown;
use speedysvc_protocol::control::addresses_name;
use speedysvc_protocol::hello::Refusal;
use speedysvc_protocol::status::Code;

use crate::addresses::Addresses;
use crate::heirs::Heirs;
use crate::rendezvous::{Rendezvous, TakeError};
use crate::service::{Inherited, Service, ServiceOptions};
use crate::watch::{Source, Watch};

impl Service {
    pub(crate) fn listen(&mut self, watch: &mut Watch) -> Result<(), TakeError> {
        if self.rendezvous.is_some() {
            return Ok(());
        }
        let open_to_others = !self.options.allow.is_empty();
        let (folder, name) = (self.options.folder.as_path(), self.options.name.as_str());
        let (socket, predecessors) = match self.inherited.take() {
            Some(Inherited { rendezvous, heirs }) => (Some(rendezvous), Some(heirs)),
            None => (None, None),
        };
        let rendezvous = Rendezvous::take(folder, name, open_to_others, socket)?;
        self.predecessors = predecessors;
        let token = watch
            .add(&rendezvous.socket, Source::Rendezvous(self.key))
            .map_err(|error| TakeError::Io { path: "epoll".to_owned(), error })?;
        self.rendezvous = Some((rendezvous, token));
        self.tell_addresses()?;
        self.meet_heirs()
    }

    /// Where else it listens, for clients that look for it by its name.
    pub(crate) fn tell_addresses(&mut self) -> Result<(), TakeError> {
        // First, as its end removes the file.
        drop(self.addresses.take());
        let ServiceOptions { folder, name, listeners, allow, .. } = &self.options;
        let told = Addresses::tell(folder, name, listeners, !allow.is_empty());
        let unwritten = |error| TakeError::Io { path: folder.join(addresses_name(name)).display().to_string(), error };
        self.addresses = Some(told.map_err(unwritten)?);
        Ok(())
    }

    /// Workers from now on know where a successor of ours comes, if they are to outlive us.
    pub(crate) fn meet_heirs(&mut self) -> Result<(), TakeError> {
        if self.options.legacy.is_none() || self.rendezvous.is_none() || self.heirs.is_some() {
            return Ok(());
        }
        let mut heirs = Heirs::make(&self.options.folder, &self.options.name)?;
        // Until ours are ready, whoever comes after us meets those who serve.
        if self.predecessors.is_none() {
            heirs.publish()?;
        }
        self.heirs = Some(heirs);
        Ok(())
    }

    /// Our own workers serve: those of the owner before may go.
    pub(crate) fn relieve(&mut self) -> Result<bool, TakeError> {
        let Some(heirs) = self.predecessors.take() else { return Ok(false) };
        if let Some((rendezvous, _)) = &mut self.rendezvous {
            rendezvous.is_shared = false;
        }
        // First: from now on a successor of ours meets our workers.
        let published = self.heirs.as_mut().map_or(Ok(()), Heirs::publish);
        // It fails only for what is no socket.
        let _never = rustix::net::shutdown(&heirs, Shutdown::Both);
        published.map(|()| true)
    }

    /// Whether workers of a dead owner serve.
    pub(crate) const fn has_predecessors(&self) -> bool {
        self.predecessors.is_some()
    }

    pub(crate) fn close(&mut self, watch: &mut Watch) {
        // A stop is meant for the workers of a dead owner, too; that nobody finds ours does not matter any more.
        let _nobody_looks = self.relieve();
        self.addresses = None;
        if let Some((rendezvous, token)) = self.rendezvous.take() {
            watch.remove(&rendezvous.socket, token);
        }
        self.heirs = None;
        self.options.listeners.clear();
        // Whoever comes after the next start waits for what the program offers then.
        self.contract = None;
        let unavailable =
            || Refusal::new(Code::Unavailable, format!("the service `{}` is stopping", self.options.name));
        for client in self.clients.values().filter(|client| client.link().is_none()) {
            client.refuse(unavailable());
        }
        let all: Vec<u64> = self.clients.keys().copied().collect();
        all.into_iter().for_each(|id| self.drop_client(id, watch));
    }
}
