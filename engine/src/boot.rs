//! What a worker is made of, from what the broker sent. The loop's rings, sets and tables are made here, once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use speedysvc_protocol::contract::Runs;
use speedysvc_protocol::control::{Legacy, Report, Start};
use speedysvc_protocol::service::Service;
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::link::Board;
use speedysvc_protocol::shm::segment::Access;
use speedysvc_protocol::standard::Standard;

use crate::bells::{Bells, Rang};
use crate::beside::{Beside, Names, Runtime};
use crate::budget::Sizes;
use crate::clock::now_ns;
use crate::control::{Control, Equipment};
use crate::dispatch::Runner;
use crate::driver::{Chosen, Driver, choose};
use crate::error::StartError;
use crate::idle::Idle;
use crate::log;
use crate::meter::Meter;
use crate::orphan::{Leaving, Orphan};
use crate::source::shm::Links;
use crate::source::tcp::{Connections, Neighbours, Settings};
use crate::watcher::Watcher;

/// Everything of a worker but its control socket, which must survive a failure to tell of it.
pub(crate) struct Parts {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) bells: Bells,
    pub(crate) runner: Runner,
    pub(crate) links: Links,
    pub(crate) connections: Connections,
    pub(crate) idle: Idle,
    pub(crate) watcher: Watcher,
    /// This worker outlives its supervisor for a while.
    pub(crate) leaving: Option<Leaving>,
}

impl Parts {
    pub(crate) fn new(
        service: Arc<dyn Service>,
        control: &Control,
        equipment: Equipment,
        signals: Option<&UnixStream>,
        runtime: Option<Arc<dyn Runtime>>,
    ) -> Result<Self, StartError> {
        let mut methods = service.spec().methods.iter();
        if let Some(method) = methods.find(|method| method.runs == Runs::Tokio).filter(|_| runtime.is_none()) {
            return Err(StartError::NoRuntime(method.name));
        }
        let Equipment { start, board, pool_bell, stats, left, listeners } = equipment;
        let Chosen { mut driver, name, why } = choose(start.driver, Sizes::default())?;
        let bells = Bells::new().map_err(StartError::resource("epoll"))?;
        let board = Arc::new(Board::map(&board, Access::ReadWrite).map_err(StartError::resource("the board"))?);
        bells.add(control, Rang::Control).map_err(StartError::resource("the control socket"))?;
        bells.add(&pool_bell, Rang::Pool).map_err(StartError::resource("the pool bell"))?;
        if let Some(signals) = signals {
            bells.add(signals, Rang::Signal).map_err(StartError::resource("signals"))?;
        }
        let leaving = leaving(start.legacy, left, control, &listeners).map_err(StartError::resource("heirs"))?;
        if let Some(leaving) = &leaving {
            bells.add(leaving, Rang::Leave).map_err(StartError::resource("heirs"))?;
        }
        log::set_level(start.log_level);
        let shm_max = usize::try_from(start.shm_message_max).unwrap_or(usize::MAX);
        let tcp_max = usize::try_from(start.tcp_message_max).unwrap_or(usize::MAX);
        let meter = Meter::new(&stats, service.contract().methods.len() + Standard::ALL.len());
        let meter = Rc::new(meter.map_err(StartError::resource("the stats page"))?);
        let bell = pool_bell.try_clone().map_err(StartError::resource("the pool bell"))?;
        let watcher = Watcher::new(Arc::clone(&board), start.incarnation, bell);
        let watcher = watcher.map_err(StartError::resource("the watching thread"))?;
        board.line(start.incarnation.0.get()).clear_running();
        let names = Names { board: Some(Arc::clone(&board)), me: start.incarnation };
        let beside = Beside::new(Arc::clone(&service), runtime, names).map_err(StartError::resource("a bell"))?;
        bells.add(beside.bell(), Rang::Beside).map_err(StartError::resource("a bell"))?;
        let neighbours = Neighbours { board: Some(Arc::clone(&board)), me: start.incarnation };
        let mut links = Links::new(start.incarnation, board, pool_bell, (shm_max, start.trust), Rc::clone(&meter));
        let Start { deadline_us, compression, .. } = start;
        let settings = Settings { message_max: tcp_max, deadline_us, compression };
        let connections = Connections::new(listeners, start.peers, settings, neighbours, Rc::clone(&meter));
        for listener in connections.listeners() {
            bells.add(listener, Rang::Knock).map_err(StartError::resource("a listener"))?;
        }
        driver.watch(bells.as_fd()).map_err(StartError::resource("the bells"))?;
        driver.submit().map_err(StartError::resource("the driver"))?;
        let mut runner = Runner::new(service, beside, meter);
        runner.heed(watcher.held_up());
        let contract = runner.contract().clone();
        links.say(Mode::Scan);
        watcher.awake(now_ns());
        control.report(&Report::Ready { contract, driver: name.to_owned(), why });
        let idle = Idle::new(start.spin_us.saturating_mul(1_000));
        Ok(Self { driver, bells, runner, links, connections, idle, watcher, leaving })
    }
}

fn leaving(
    legacy: Option<Legacy>,
    left: Option<(OwnedFd, OwnedFd)>,
    control: &Control,
    listeners: &[OwnedFd],
) -> io::Result<Option<Leaving>> {
    let Some((legacy, (rendezvous, heirs))) = legacy.zip(left) else { return Ok(None) };
    let listeners = listeners.iter().map(OwnedFd::try_clone).collect::<io::Result<_>>()?;
    let orphan = Orphan { control: control.try_clone()?, legacy, rendezvous, heirs, listeners };
    Leaving::watch(orphan).map(Some)
}
