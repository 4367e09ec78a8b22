//! What GET answers. Made when asked for: that is rare, and nobody keeps it meanwhile.

use serde_json::{Value, json};
use speedysvc_protocol::contract::ServiceSpec;
use speedysvc_protocol::hello::LIBRARY;

use super::head::TIMEOUT_FIELD;
use super::routes::{OPENAPI_PATH, Place};

pub(super) fn page(place: Place, spec: &ServiceSpec) -> Vec<u8> {
    let page = match place {
        Place::OpenApi => spec.openapi(TIMEOUT_FIELD),
        Place::Description => spec.describe(),
        Place::Root | Place::Call(_) | Place::Anything => root(spec),
    };
    page.to_string().into_bytes()
}

fn root(spec: &ServiceSpec) -> Value {
    json!({
        "service": spec.name, "version": spec.version, "library": LIBRARY,
        "description": format!("/{}", spec.name), "openapi": OPENAPI_PATH,
    })
}
