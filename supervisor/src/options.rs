//! What the broker and the workers are told of a service's version.

use std::path::PathBuf;
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use speedysvc_broker::ServiceOptions;
use speedysvc_config::{Config, DriverChoice};
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::control::{DriverWish, Legacy};
use speedysvc_protocol::shm::in_place::Trust;
use speedysvc_protocol::wire::Compression;

use crate::StartError;
use crate::versions::Settings;

/// `folder` is the namespace's.
pub(crate) fn options(settings: &Settings, folder: PathBuf, log_level: Level) -> Result<ServiceOptions, StartError> {
    let service = &settings.service;
    let copies = settings.listeners.iter().map(|listener| listener.socket.try_clone());
    Ok(ServiceOptions {
        name: service.name.to_string(),
        folder,
        slots: service.limits.slots.get(),
        shm_message_max: service.limits.shm_message.bytes(),
        tcp_message_max: service.limits.tcp_message.bytes(),
        deadline: service.limits.deadline,
        spin: service.spin.get(),
        driver: wish(service.driver),
        compression: compression(service.compression),
        trust: trust(service.trust),
        log_level,
        allow: settings.allow.clone(),
        legacy: legacy(settings),
        listeners: copies.collect::<Result<_, _>>().map_err(StartError::denied("cannot copy a listener"))?,
    })
}

/// Nothing for workers that leave with us.
fn legacy(settings: &Settings) -> Option<Legacy> {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let service = &settings.service;
    (!service.orphan.is_zero()).then(|| Legacy {
        supervisor: std::process::id(),
        grace_us: micros(service.orphan),
        drain_us: micros(service.drain.saturating_add(service.kill)),
        listeners: settings.listeners.iter().map(|listener| listener.asked.to_string()).collect(),
    })
}

fn trust(written: speedysvc_config::Trust) -> Trust {
    match written {
        speedysvc_config::Trust::SameUser => Trust::SameUser,
        speedysvc_config::Trust::Never => Trust::Never,
    }
}

fn compression(written: speedysvc_config::Compression) -> Option<Compression> {
    match written {
        speedysvc_config::Compression::None => None,
        speedysvc_config::Compression::Lz4 => Some(Compression::Lz4),
        speedysvc_config::Compression::Snappy => Some(Compression::Snappy),
        speedysvc_config::Compression::Zlib => Some(Compression::Zlib),
    }
}

fn wish(choice: DriverChoice) -> DriverWish {
    match choice {
        DriverChoice::Auto => DriverWish::Auto,
        DriverChoice::IoUring => DriverWish::IoUring,
        DriverChoice::Epoll => DriverWish::Epoll,
    }
}

/// The level of the file.
pub(crate) fn level(config: &Config) -> Level {
    Level::named(config.log.level.as_str()).expect("both have the same names")
}

/// 128 random bits. Without randomness (which no kernel of ours lacks) nothing that workers log is told from what they
/// print.
pub(crate) fn mark() -> String {
    let mut bytes = [0; 16];
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(16) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_not_guessed() {
        assert_eq!(mark().len(), 32);
        assert_ne!(mark(), mark());
    }
}
