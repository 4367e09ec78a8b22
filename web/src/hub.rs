//! Live updates: one drawing of a page a second, however many watch it.
//!
//! A watcher is told of the newest state, not of each: one that reads slowly misses states and gets the next as a
//! whole. So nothing piles up for anybody.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::sync::watch;

use crate::app::App;
use crate::page::{Cells, Page};
use crate::pages::Address;

/// Most different pages that are watched at a time.
const PAGES_MAX: usize = 32;

/// A state of a page.
#[derive(Debug, Default)]
pub(crate) struct Update {
    /// Counts the states of this page.
    pub(crate) number: u64,
    /// All of it.
    pub(crate) whole: String,
    /// What is different from the state before.
    pub(crate) difference: String,
}

struct Watched {
    sender: watch::Sender<Arc<Update>>,
    cells: Cells,
}

/// Why a page is not watched.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    /// It is about something that is not there.
    NoPage,
    /// Too many others are.
    NoRoom,
}

/// The pages that somebody watches.
#[derive(Default)]
pub(crate) struct Hub(Mutex<HashMap<Address, Watched>>);

impl Hub {
    /// The updates of a page from now on.
    pub(crate) fn watch(&self, app: &App, address: Address) -> Result<watch::Receiver<Arc<Update>>, Refused> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = pages.len() < PAGES_MAX;
        match pages.entry(address) {
            Entry::Occupied(watched) => Ok(watched.get().sender.subscribe()),
            Entry::Vacant(_) if !room => Err(Refused::NoRoom),
            Entry::Vacant(place) => {
                let page = place.key().page(app).ok_or(Refused::NoPage)?;
                let (update, cells) = Update::of(&page, &Cells::new(), 1);
                let sender = watch::Sender::new(Arc::new(update));
                let receiver = sender.subscribe();
                place.insert(Watched { sender, cells });
                Ok(receiver)
            }
        }
    }

    /// Draws every watched page, and forgets those that nobody watches.
    pub(crate) fn publish(&self, app: &App) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.retain(|_, watched| watched.sender.receiver_count() > 0);
        for (address, watched) in pages.iter_mut() {
            let Some(page) = address.page(app) else { continue };
            let number = watched.sender.borrow().number + 1;
            let (update, cells) = Update::of(&page, &watched.cells, number);
            watched.cells = cells;
            watched.sender.send_replace(Arc::new(update));
        }
    }
}

impl Update {
    fn of(page: &Page, before: &Cells, number: u64) -> (Self, Cells) {
        let cells = page.cells();
        let shape = page.shape();
        let changed: Cells = cells
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let text = |cells: &Cells| json!({ "shape": shape, "cells": cells }).to_string();
        (Self { number, whole: text(&cells), difference: text(&changed) }, cells)
    }
}
