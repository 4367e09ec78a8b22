//! What a caller is told of a handler that panicked.

use std::any::Any;

use speedysvc_protocol::status::{Code, Failure};

/// What a caller is told of a handler that panicked.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic_text(panic);
    // Source: the texts of tokio's panics where no runtime is entered.
    let needs_tokio = ["there is no reactor running", "there is no timer running", "Tokio 1.x runtime"];
    let hint = match needs_tokio.iter().any(|needed| text.contains(needed)) {
        true => "; write #[method(runtime = \"tokio\")] on the method, and turn the feature `tokio` of speedysvc on",
        false => "",
    };
    Failure::done(Code::Internal, format!("the handler panicked: {text}{hint}"))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "(with a value that is no text)",
    }
}
