//! The open connections. One on which nothing is under way is small: what must be remembered of it, and no more.

use slab::Slab;

use super::Settings;
use super::connection::{Connection, Quiet};
use crate::driver::Tag;

/// So many connections stay as they are though nothing is under way: making a connection large again costs some 50 ns,
/// which few connections need not pay.
const AWAKE_KEPT: usize = 64;

enum Entry {
    /// Nothing is under way.
    Quiet(Quiet),
    /// Something is, or was a moment ago.
    Awake(Box<Connection>),
}

pub(super) struct Open {
    settings: Settings,
    entries: Slab<Entry>,
    /// Keys of all that are awake, and of some that were.
    awake: Vec<usize>,
}

impl Open {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, entries: Slab::new(), awake: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds the connection that is made of its key.
    pub(super) fn add(&mut self, make: impl FnOnce(usize, Settings) -> Connection) {
        let entry = self.entries.vacant_entry();
        let key = entry.key();
        entry.insert(Entry::Awake(Box::new(make(key, self.settings))));
        self.awake.push(key);
    }

    pub(super) fn find(&self, tag: Tag) -> Option<usize> {
        let key = usize::from(u16::try_from(tag.0 & 0xFFFF).expect("masked"));
        let own = match self.entries.get(key)? {
            Entry::Quiet(quiet) => quiet.tag(),
            Entry::Awake(connection) => connection.tag(),
        };
        (own == tag).then_some(key)
    }

    /// A connection with which something is to be done.
    ///
    /// # Panics
    /// When there is none with this key.
    pub(super) fn wake(&mut self, key: usize) -> &mut Connection {
        let entry = &mut self.entries[key];
        if let Entry::Quiet(quiet) = entry {
            let awake = Box::new(quiet.wake(self.settings));
            *entry = Entry::Awake(awake);
            self.awake.push(key);
        }
        match entry {
            Entry::Awake(connection) => connection,
            Entry::Quiet(_) => unreachable!("it was just woken"),
        }
    }

    /// Takes out a connection that has ended.
    pub(super) fn remove(&mut self, key: usize) -> Option<Box<Connection>> {
        match self.entries.try_remove(key)? {
            Entry::Awake(connection) => Some(connection),
            Entry::Quiet(_) => None,
        }
    }

    /// The connections on which something may be under way.
    pub(super) fn awake(&self) -> impl Iterator<Item = (usize, &Connection)> {
        self.entries.iter().filter_map(|(key, entry)| match entry {
            Entry::Awake(connection) => Some((key, &**connection)),
            Entry::Quiet(_) => None,
        })
    }

    pub(super) fn keys(&self) -> Vec<usize> {
        self.entries.iter().map(|(key, _)| key).collect()
    }

    /// Keys of connections on which nothing is under way.
    pub(super) fn quiet_keys(&self) -> Vec<usize> {
        let is_quiet = |entry: &Entry| match entry {
            Entry::Quiet(_) => true,
            Entry::Awake(connection) => connection.is_quiet(),
        };
        self.entries.iter().filter(|(_, entry)| is_quiet(entry)).map(|(key, _)| key).collect()
    }

    /// The loop is about to sleep: connections on which nothing is under way become small.
    pub(super) fn rest(&mut self) {
        if self.awake.len() <= AWAKE_KEPT {
            return;
        }
        // A key may be there twice, when its place was given to another connection.
        self.awake.sort_unstable();
        self.awake.dedup();
        let entries = &mut self.entries;
        self.awake.retain(|key| entries.get_mut(*key).is_some_and(|entry| !make_small(entry)));
        self.awake.shrink_to(AWAKE_KEPT);
    }
}

/// Whether it is small now.
fn make_small(entry: &mut Entry) -> bool {
    let Entry::Awake(connection) = entry else { return true };
    let Some(quiet) = connection.quiet() else { return false };
    *entry = Entry::Quiet(quiet);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::rc::Rc;

    /// The goal is 128 bytes for an idle connection, heap and drivers included: this entry, the counted socket (24
    /// bytes, 32 as allocated) and the receive that is under way in the ring (held by a test there).
    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Entry>() <= 64, "{} bytes", size_of::<Entry>());
        assert_eq!(size_of::<(usize, usize, OwnedFd)>(), 24, "what `Rc` allocates");
        assert_eq!(size_of::<Rc<OwnedFd>>(), 8);
    }
}
