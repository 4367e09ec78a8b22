//! Where a service may be: addresses in the order in which they are liked.

use std::fmt;
use std::time::Duration;

use speedysvc_protocol::status::Code;

use crate::address::{Address, Environment, Named};
use crate::clock::Deadline;
use crate::error::Error;

/// The most addresses that a client is given.
const ADDRESSES_MAX: usize = 16;

/// One address, or several in the order in which they are liked: `"service://echo"`,
/// `&["shm://echo", "tcp://host:5555"]`.
///
/// `service://NAME` stands for all addresses at which a service of this machine says that it can be reached: shared
/// memory first, then Unix sockets, then TCP. Names are looked for in the run folder, in the namespace of
/// `SPEEDYSVC_NAMESPACE`, or in another one: `service://NAMESPACE/NAME`.
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

/// Where a service is wished for, the best first.
pub(crate) struct Routes(Vec<Wish>);

enum Wish {
    One(Address),
    /// Looked for anew whenever somebody connects.
    Named(Named),
}

/// What a list of addresses came to.
pub(crate) struct Settled<T> {
    /// The addresses as they were found, the best first.
    pub(crate) list: Vec<Address>,
    /// The place in the list of the one that answered.
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
        let wish = |text| match Named::parse(text, environment) {
            Some(named) => named.map(Wish::Named),
            None => Address::parse(text, environment).map(Wish::One),
        };
        list.into_iter().map(wish).collect::<Result<_, _>>().map(Self)
    }

    /// For a service that needs no connection.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Opens the first that can be. None of them may use up the time of those behind it.
    pub(crate) fn open<T>(
        &self,
        deadline: Deadline,
        mut open: impl FnMut(&Address, Deadline) -> Result<T, Error>,
    ) -> Result<Settled<T>, Error> {
        let (list, no_others) = self.find();
        let mut passed_over = Vec::new();
        for (place, address) in list.iter().enumerate() {
            match open(address, share(deadline, list.len() - place)) {
                Ok(found) => return Ok(Settled { list, place, found, passed_over }),
                Err(error) => passed_over.push(error),
            }
        }
        Err(none_of(passed_over, &no_others))
    }

    /// All addresses, and why some names led to none but shared memory.
    fn find(&self) -> (Vec<Address>, Vec<String>) {
        let (mut list, mut no_others) = (Vec::new(), Vec::new());
        for wish in &self.0 {
            match wish {
                Wish::One(address) => list.push(address.clone()),
                Wish::Named(named) => {
                    let found = named.find();
                    list.extend(found.addresses);
                    no_others.extend(found.no_others);
                }
            }
        }
        (list, no_others)
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

fn none_of(mut errors: Vec<Error>, no_others: &[String]) -> Error {
    let why = |error: Error| match no_others {
        [] => error,
        _ => error.and(&format!("; {}", no_others.join("; "))),
    };
    if errors.len() == 1 {
        return why(errors.remove(0));
    }
    // Whether trying again may help is what matters most.
    let code = errors.iter().map(Error::code).find(|code| *code == Code::Unavailable);
    let code = code.or(errors.last().map(Error::code)).unwrap_or(Code::Unavailable);
    why(Error::not_started(code, format!("none of the addresses answers: {}", texts(&errors))))
}

/// What several errors say.
pub(crate) fn texts(errors: &[Error]) -> String {
    errors.iter().map(Error::message).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, wish) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            match wish {
                Wish::One(address) => address.fmt(f)?,
                Wish::Named(named) => f.write_str(&named.text)?,
            }
        }
        Ok(())
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
