//! What a path stands for.
//!
//! | path | takes | |
//! |---|---|---|
//! | `/` | GET | where the others are |
//! | `/openapi.json` | GET | the service as OpenAPI 3.1 |
//! | `/SERVICE` | GET | the service with its JSON schemas |
//! | `/SERVICE/METHOD` | POST | a call |

use speedysvc_protocol::contract::Contract;
use speedysvc_protocol::ids::MethodIndex;

use super::head::{Head, Method};
use super::refusal::Refusal;

/// Where the OpenAPI document is. No service can have this name.
pub const OPENAPI_PATH: &str = "/openapi.json";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Root,
    OpenApi,
    Description,
    Call(MethodIndex),
    /// `*`: the server as such.
    Anything,
}

impl Place {
    pub(super) fn find(path: &str, contract: &Contract) -> Result<Self, Refusal> {
        match path {
            "*" => return Ok(Self::Anything),
            "/" => return Ok(Self::Root),
            OPENAPI_PATH => return Ok(Self::OpenApi),
            _ => {}
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let (service, method) = path.split_once('/').map_or((path, None), |(service, method)| (service, Some(method)));
        if service != contract.service {
            let message = format!("this is service `{}`; see GET / for its paths", contract.service);
            return Err(Refusal::not_found(message));
        }
        let Some(method) = method else { return Ok(Self::Description) };
        contract.index_by_name(method).map(Self::Call).ok_or_else(|| {
            let names: Vec<&str> = contract.methods.iter().map(|method| method.name.as_str()).collect();
            let message = format!("{service} has no such method; its methods are: {}", names.join(", "));
            Refusal::no_method(message)
        })
    }

    /// For `Allow`.
    pub(super) fn allows(self) -> &'static str {
        match self {
            Self::Root | Self::OpenApi | Self::Description => "GET, HEAD, OPTIONS",
            Self::Call(_) => "POST, OPTIONS",
            Self::Anything => "GET, HEAD, POST, OPTIONS",
        }
    }

    /// Whether the request is one that this place takes.
    pub(super) fn takes(self, head: &Head<'_>) -> Result<(), Refusal> {
        let allowed = match self {
            Self::Root | Self::OpenApi | Self::Description => {
                matches!(head.method, Method::Get | Method::Head | Method::Options)
            }
            Self::Call(_) => matches!(head.method, Method::Post | Method::Options),
            Self::Anything => head.method == Method::Options,
        };
        match allowed {
            false => Err(Refusal::not_allowed(self.allows())),
            true if head.from_browser => Err(Refusal::from_browser()),
            true => match head.other_type.filter(|_| head.method == Method::Post) {
                Some(other) => Err(Refusal::other_type(other)),
                None => Ok(()),
            },
        }
    }
}
