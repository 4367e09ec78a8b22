//! What `[web]` can say. `None` is "not said".

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeValue;

use super::plain;
use crate::fields::Fields;
use crate::leaf;
use crate::problem::{Complaint, Placed, Problems};

/// The `[web]` of a file.
#[derive(Default)]
pub(crate) struct Web {
    /// `Some(None)`: none is wanted.
    pub(crate) listen: Option<Placed<Option<SocketAddr>>>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) insecure: Option<bool>,
    pub(crate) hosts: Vec<String>,
    /// `Some(None)`: it is not kept.
    pub(crate) history: Option<Option<PathBuf>>,
    pub(crate) report: Option<PathBuf>,
}

impl Web {
    pub(super) fn read(fields: &Fields<'_, '_>, problems: &mut Problems) -> Self {
        let hosts = fields.list("hosts", host, problems).unwrap_or_default();
        Self {
            listen: fields.read("listen", listen, problems),
            token_file: plain(fields.read("token_file", leaf::path, problems)),
            insecure: plain(fields.read("insecure", leaf::yes_or_no, problems)),
            hosts: hosts.into_iter().map(|host| host.value).collect(),
            history: plain(fields.read("history", history, problems)),
            report: plain(fields.read("report", leaf::path, problems)),
        }
    }
}

fn listen(value: &DeValue<'_>) -> Result<Option<SocketAddr>, Complaint> {
    let expected = "an address and a port such as \"127.0.0.1:5155\", or false";
    match value {
        DeValue::Boolean(false) => Ok(None),
        DeValue::String(text) => {
            let bare = text.trim_start_matches("http://").trim_start_matches("tcp://").trim_end_matches('/');
            let instead = bare.replace("localhost", "127.0.0.1").parse::<SocketAddr>().ok();
            text.parse().map(Some).map_err(|_| {
                let meant = instead.map(|address| format!("\"{address}\""));
                Complaint::new("is not an address and a port", expected).meant(meant)
            })
        }
        DeValue::Integer(port) => {
            let meant = Some(format!("\"127.0.0.1:{port}\""));
            Err(leaf::wrong_type(value, expected).meant(meant))
        }
        _ => Err(leaf::wrong_type(value, expected)),
    }
}

fn history(value: &DeValue<'_>) -> Result<Option<PathBuf>, Complaint> {
    match value {
        DeValue::Boolean(false) => Ok(None),
        DeValue::String(_) => leaf::path(value).map(Some),
        _ => Err(leaf::wrong_type(value, "the path of a file, or false")),
    }
}

/// A name as it stands in a browser's address line, without port.
fn host(value: &DeValue<'_>) -> Result<String, Complaint> {
    let expected = "a host's name such as \"dash.example\", without scheme and port";
    let name = leaf::some_text(value)?.to_ascii_lowercase();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if name.bytes().all(is_plain) { Ok(name) } else { Err(Complaint::new("holds what is not a host's name", expected)) }
}
