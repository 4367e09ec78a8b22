//! How a TCP connection or a shared-memory link begins: the client says what it speaks and wants, the service answers.
//!
//! The messages are JSON, because they are rare, because every language can write them, and because a later version may
//! add fields that an earlier one ignores.

use serde::{Deserialize, Serialize};

use crate::archive;
use crate::contract::{Contract, Method};
use crate::ids::{Codec, MethodId, MethodIndex, Shape};
use crate::status::{Code, Failure};
use crate::wire::{Offer, Wire};

/// The newest version of the wire and the link layout that this library speaks.
pub const VERSION: u32 = 1;
/// The oldest one that it still speaks.
pub const VERSION_OLDEST: u32 = 1;
/// Name and version of this library, for logs.
pub const LIBRARY: &str = concat!("speedysvc/", env!("CARGO_PKG_VERSION"));

/// The client's first message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Oldest version that the client speaks.
    pub version_min: u32,
    /// Newest version that the client speaks.
    pub version_max: u32,
    /// The client's library, for logs.
    pub library: String,
    /// The archive format that the client writes; needed only for calls with the rkyv codec.
    #[serde(default)]
    pub archive: Option<String>,
    /// The service it wants; empty for whatever this address serves, when only names of methods are known.
    pub service: String,
    /// The version of the contract that the client was built from; absent when it will write JSON.
    #[serde(default)]
    pub contract: Option<u32>,
    /// The methods it wants.
    pub methods: Vec<Wanted>,
    /// Whether it wants a link of one slot, so that its calls run one at a time, in the order in which they are made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_order: bool,
    /// How it would have frames over a socket. Means nothing over shared memory.
    #[serde(default, skip_serializing_if = "Offer::is_plain")]
    pub wire: Offer,
}

/// A method that a client wants to call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// The method's name.
    pub name: String,
    /// What the client's types look like; absent when it will write no archives.
    #[serde(default)]
    pub typed: Option<Typed>,
}

/// What a client's types look like.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Typed {
    /// Name, types and result in normal form.
    pub signature: String,
    /// The hash of the types' structure.
    pub shape: Shape,
}

/// The service's answer when it accepts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that both will speak.
    pub version: u32,
    /// The service's library, for logs.
    pub library: String,
    /// Largest message body, in bytes, both ways.
    pub message_max: u64,
    /// Deadline of calls that bring none, in microseconds.
    pub deadline_us: u64,
    /// The methods, in the order in which they were wanted.
    pub methods: Vec<Given>,
    /// How frames are, of what the client offered.
    #[serde(default, skip_serializing_if = "Wire::is_plain")]
    pub wire: Wire,
}

/// What a client needs to call a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Given {
    /// What slots carry.
    pub index: MethodIndex,
    /// What frames carry.
    pub id: MethodId,
    /// Whether running it twice does no more than running it once, so that a call of which nobody knows whether it ran
    /// may be made again.
    #[serde(default)]
    pub idempotent: bool,
}

/// The service's answer when it does not accept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of refusal.
    pub code: Code,
    /// For people: why, and what to do.
    pub message: String,
}

impl Refusal {
    /// A refusal with this code and text.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::not_started(refusal.code, refusal.message)
    }
}

impl Hello {
    /// The greeting of a client built from this contract. Types are compared only of methods that it will call with
    /// archives: the other codecs tolerate what is optional, and a call in which something else differs is refused.
    #[must_use]
    pub fn typed(contract: &Contract) -> Self {
        let is_archived = |method: &Method| method.codec == Codec::Rkyv;
        let typed = |method: &Method| Typed { signature: method.signature.clone(), shape: method.shape };
        let methods = contract
            .methods
            .iter()
            .map(|method| Wanted { name: method.name.clone(), typed: is_archived(method).then(|| typed(method)) });
        Self {
            archive: contract.methods.iter().any(is_archived).then(|| archive::FORMAT.to_owned()),
            contract: Some(contract.version),
            ..Self::untyped(&contract.service, methods.collect())
        }
    }

    /// The greeting of a client that knows only names, and will write JSON.
    #[must_use]
    pub fn by_name(service: &str, method: &str) -> Self {
        Self::untyped(service, vec![Wanted { name: method.to_owned(), typed: None }])
    }

    fn untyped(service: &str, methods: Vec<Wanted>) -> Self {
        Self {
            version_min: VERSION_OLDEST,
            version_max: VERSION,
            library: LIBRARY.to_owned(),
            archive: None,
            service: service.to_owned(),
            contract: None,
            methods,
            in_order: false,
            wire: Offer::default(),
        }
    }

    /// The same, for calls that run one at a time.
    #[must_use]
    pub fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// The service's side: the version to speak and the methods, or why not.
    ///
    /// # Errors
    /// [`Refusal`] that names what differs: service, version, archive format or method.
    pub fn answer(&self, contract: &Contract) -> Result<(u32, Vec<Given>), Refusal> {
        if !self.service.is_empty() && self.service != contract.service {
            let message = format!("this is service `{}`, not `{}`", contract.service, self.service);
            return Err(Refusal::new(Code::NotFound, message));
        }
        let version = self.common_version()?;
        if let Some(format) = self.archive.as_deref().filter(|format| *format != archive::FORMAT) {
            let message = format!("archives differ: the service reads {}, the client writes {format}", archive::FORMAT);
            return Err(Refusal::new(Code::FailedPrecondition, message));
        }
        if let Some(theirs) = self.contract.filter(|theirs| *theirs != contract.version) {
            let (service, ours) = (&contract.service, contract.version);
            let message = format!("`{service}` is at version {ours} of its contract, the client at version {theirs}");
            return Err(Refusal::new(Code::FailedPrecondition, message));
        }
        Ok((version, contract.agree(&self.methods)?))
    }

    fn common_version(&self) -> Result<u32, Refusal> {
        let newest = self.version_max.min(VERSION);
        if newest >= self.version_min.max(VERSION_OLDEST) {
            return Ok(newest);
        }
        let message = format!(
            "no common protocol version: the service speaks {VERSION_OLDEST} to {VERSION}, the client {} to {}",
            self.version_min, self.version_max
        );
        Err(Refusal::new(Code::FailedPrecondition, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract() -> Contract {
        Contract { service: "echo".into(), version: 1, methods: Vec::new() }
    }

    #[test]
    fn versions_meet_at_the_newest_common_one() {
        let mut hello = Hello::typed(&contract());
        hello.version_max = VERSION + 7;
        assert_eq!(hello.answer(&contract()).unwrap().0, VERSION);
        hello.version_min = VERSION + 1;
        let refusal = hello.answer(&contract()).unwrap_err();
        assert!(refusal.message.contains("no common protocol version"), "{refusal:?}");
    }

    #[test]
    fn another_archive_format_or_service_is_refused_by_name() {
        let mut hello = Hello::typed(&contract());
        assert_eq!(hello.archive, None, "without methods there are no archives");
        hello.archive = Some("rkyv-0.8/big-endian".into());
        assert!(hello.answer(&contract()).unwrap_err().message.contains("big-endian"));
        hello.service = "ocr".into();
        assert_eq!(hello.answer(&contract()).unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn an_empty_name_means_whatever_is_served_here() {
        let mut hello = Hello::by_name("", "say");
        assert_eq!(hello.answer(&contract()).unwrap_err().code, Code::Unimplemented);
        hello.methods.clear();
        assert!(hello.answer(&contract()).is_ok());
    }

    #[test]
    fn another_version_of_the_contract_is_refused_with_both() {
        let mut hello = Hello::typed(&contract());
        hello.contract = Some(7);
        let refusal = hello.answer(&contract()).unwrap_err();
        assert!(refusal.message.contains("version 1") && refusal.message.contains("version 7"), "{refusal:?}");
        hello.contract = None;
        hello.answer(&contract()).unwrap();
    }

    #[test]
    fn fields_of_a_later_version_are_ignored() {
        let text = r#"{"version_min":1,"version_max":2,"library":"x/9","service":"echo","methods":[],"later":[1]}"#;
        assert!(serde_json::from_str::<Hello>(text).unwrap().answer(&contract()).is_ok());
    }
}
