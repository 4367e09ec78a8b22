//! Which driver: what was wished for, and what this machine allows. The answer comes with its reason, for people.

use std::io;

use speedysvc_protocol::control::DriverWish;

use super::Driver;
use super::epoll::Epoll;
use crate::budget::Sizes;
use crate::error::StartError;
use crate::uring::Ring;
use crate::uring::setup::remedy;

/// The environment variable that chooses for services whose file, or program, leaves it open: `io_uring` or `epoll`.
pub(crate) const DRIVER_ENV: &str = "SPEEDYSVC_DRIVER";

/// A driver, and what to say of it.
pub(crate) struct Chosen {
    pub(crate) driver: Box<dyn Driver>,
    /// As in the file.
    pub(crate) name: &'static str,
    /// Why this one, and with which features.
    pub(crate) why: String,
}

/// Makes the driver that was wished for.
///
/// # Errors
/// When io_uring was wished for and is not to be had, or no driver can be made at all.
pub(crate) fn choose(wish: DriverWish, sizes: Sizes) -> Result<Chosen, StartError> {
    match or_else_environment(wish)? {
        DriverWish::Epoll => epoll(sizes, "it was asked for"),
        DriverWish::IoUring => uring(sizes).map_err(|error| StartError::Driver { error }),
        DriverWish::Auto => {
            uring(sizes).or_else(|error| epoll(sizes, &format!("io_uring: {error}. {}", remedy(&error))))
        }
    }
}

/// Which driver a loop would get here if nothing else is said, and why, in one line. It really makes one.
///
/// # Errors
/// As when a worker starts.
pub fn probe() -> Result<String, StartError> {
    choose(DriverWish::Auto, Sizes::default()).map(|chosen| format!("{} ({})", chosen.name, chosen.why))
}

fn or_else_environment(wish: DriverWish) -> Result<DriverWish, StartError> {
    let said = std::env::var_os(DRIVER_ENV);
    match said.as_deref().filter(|_| wish == DriverWish::Auto) {
        None => Ok(wish),
        Some(text) if text == "auto" || text.is_empty() => Ok(wish),
        Some(text) if text == "io_uring" => Ok(DriverWish::IoUring),
        Some(text) if text == "epoll" => Ok(DriverWish::Epoll),
        Some(text) => Err(StartError::WrongDriver(text.to_string_lossy().into_owned())),
    }
}

fn uring(sizes: Sizes) -> io::Result<Chosen> {
    let (ring, flags) = Ring::new(sizes)?;
    Ok(Chosen { driver: Box::new(ring), name: "io_uring", why: format!("Linux {}: {flags}", kernel()) })
}

fn epoll(sizes: Sizes, reason: &str) -> Result<Chosen, StartError> {
    let driver = Epoll::new(sizes).map_err(StartError::resource("epoll"))?;
    Ok(Chosen { driver: Box::new(driver), name: "epoll", why: format!("Linux {}: {reason}", kernel()) })
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}
