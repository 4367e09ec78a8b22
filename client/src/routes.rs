//! Where a service may be: addresses in the order in which they are liked.

use std::fmt;
use std::time::Duration;

use speedysvc_protocol::status::Code;

use crate::address::{Address, Environment};
use crate::clock::Deadline;
use crate::error::Error;

/// The most addresses that a client is given.
const ADDRESSES_MAX: usize = 16;

/// One address, or several in the order in which they are liked: `"shm://echo"`, `&["shm://echo", "tcp://host:5555"]`.
pub trait Addresses {
    /// The addresses.
    fn list(&self) -> Vec<&str>;
}

impl Addresses for str {
    fn list(&self) -> Vec<&str> {
        vec![self]
    }
}

impl Addresses for String {
    fn list(&self) -> Vec<&str> {
        vec![self]
    }
}

impl<T: AsRef<str>> Addresses for [T] {
    fn list(&self) -> Vec<&str> {
        self.iter().map(AsRef::as_ref).collect()
    }
}

impl<T: AsRef<str>, const N: usize> Addresses for [T; N] {
    fn list(&self) -> Vec<&str> {
        self[..].list()
    }
}

impl<T: AsRef<str>> Addresses for Vec<T> {
    fn list(&self) -> Vec<&str> {
        self[..].list()
    }
}

impl<T: Addresses + ?Sized> Addresses for &T {
    fn list(&self) -> Vec<&str> {
        (**self).list()
    }
}

/// The addresses of a service, the best one first.
pub(crate) struct Routes(Vec<Address>);

/// What a list of addresses came to.
pub(crate) struct Settled<T> {
    /// The place of the address in the list.
    pub(crate) place: usize,
    pub(crate) found: T,
    /// What the better ones said.
    pub(crate) passed_over: Vec<Error>,
}

impl Routes {
    pub(crate) fn parse(addresses: &(impl Addresses + ?Sized), environment: &Environment) -> Result<Self, Error> {
        let list = addresses.list();
        if !(1..=ADDRESSES_MAX).contains(&list.len()) {
            let message = format!("a client takes 1 to {ADDRESSES_MAX} addresses, not {}", list.len());
            return Err(Error::not_started(Code::InvalidArgument, message));
        }
        list.into_iter().map(|address| Address::parse(address, environment)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn of(address: Address) -> Self {
        Self(vec![address])
    }

    /// The addresses that are liked more than the one in use.
    pub(crate) fn better_than(&self, place: usize) -> &[Address] {
        &self.0[..place]
    }

    pub(crate) fn get(&self, place: usize) -> &Address {
        &self.0[place]
    }

    /// Opens the first that can be. None of them may use up the time of those behind it.
    pub(crate) fn open<T>(
        &self,
        deadline: Deadline,
        mut open: impl FnMut(&Address, Deadline) -> Result<T, Error>,
    ) -> Result<Settled<T>, Error> {
        let mut passed_over = Vec::new();
        for (place, address) in self.0.iter().enumerate() {
            match open(address, share(deadline, self.0.len() - place)) {
                Ok(found) => return Ok(Settled { place, found, passed_over }),
                Err(error) => passed_over.push(error),
            }
        }
        Err(none_of(passed_over))
    }
}

/// An equal share of the time left, for the first of so many.
fn share(deadline: Deadline, of: usize) -> Deadline {
    match (of, deadline.left()) {
        (2.., Some(left)) => Deadline::after(left / u32::try_from(of).unwrap_or(u32::MAX)),
        (2.., None) => Deadline::after(Duration::ZERO),
        _ => deadline,
    }
}

fn none_of(mut errors: Vec<Error>) -> Error {
    if errors.len() == 1 {
        return errors.remove(0);
    }
    // Whether trying again may help is what matters most.
    let code = errors.iter().map(Error::code).find(|code| *code == Code::Unavailable);
    let code = code.or(errors.last().map(Error::code)).unwrap_or(Code::Unavailable);
    Error::not_started(code, format!("none of the addresses answers: {}", texts(&errors)))
}

/// What several errors say.
pub(crate) fn texts(errors: &[Error]) -> String {
    errors.iter().map(Error::message).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.0.iter().map(Address::to_string).collect();
        f.write_str(&addresses.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(addresses: &impl Addresses) -> Result<Routes, Error> {
        Routes::parse(addresses, &Environment::default())
    }

    fn unavailable(address: &Address) -> Error {
        Error::not_started(Code::Unavailable, "nobody there").within(&address.to_string())
    }

    #[test]
    fn one_address_or_several_are_taken() {
        let (one, two) = ("tcp://a:1", "tcp://a:1, shm:///b.sock");
        assert_eq!(routes(&one).unwrap().to_string(), one);
        assert_eq!(routes(&one.to_owned()).unwrap().to_string(), one);
        assert_eq!(routes(&["tcp://a:1", "shm:///b.sock"]).unwrap().to_string(), two);
        assert_eq!(routes(&vec!["tcp://a:1".to_owned(), "shm:///b.sock".to_owned()]).unwrap().to_string(), two);
        for bad in [vec![], vec!["tcp://a:1"; ADDRESSES_MAX + 1], vec!["tcp://a:1", "nonsense"]] {
            assert_eq!(routes(&bad).err().unwrap().code(), Code::InvalidArgument);
        }
    }

    #[test]
    fn the_first_that_answers_is_taken_and_the_others_are_told_of() {
        let routes = routes(&["tcp://a:1", "tcp://b:1", "tcp://c:1"]).unwrap();
        let deadline = Deadline::after(Duration::from_secs(60));
        let settled = routes.open(deadline, |address, until| {
            assert!(until <= deadline && until.left().is_some());
            if address.to_string().contains("b:") { Ok(()) } else { Err(unavailable(address)) }
        });
        let settled = settled.unwrap();
        assert_eq!((settled.place, texts(&settled.passed_over).as_str()), (1, "tcp://a:1: nobody there"));
        let error = routes.open::<()>(deadline, |address, _| Err(unavailable(address))).err().unwrap();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(["a:1", "b:1", "c:1"].iter().all(|host| error.message().contains(host)), "{error}");
    }

    #[test]
    fn one_that_is_silent_leaves_time_for_the_others() {
        let routes = routes(&["tcp://a:1", "tcp://b:1", "tcp://c:1"]).unwrap();
        let (mut untils, deadline) = (Vec::new(), Deadline::after(Duration::from_secs(60)));
        let _none = routes.open::<()>(deadline, |address, until| {
            untils.push(until);
            Err(unavailable(address))
        });
        assert!(untils[0] < untils[1] && untils[1] < untils[2] && untils[2] == deadline, "{untils:?}");
    }
}
