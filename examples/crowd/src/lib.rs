//! Handlers that are `async fn`: while they wait, their worker serves others.
#![forbid(unsafe_code)]

use std::time::Duration;

use hello::HelloClient;

/// Greets many, and looks where somebody listens.
#[speedysvc::service]
pub trait Crowd {
    /// Greets everybody at once, by asking the service `hello`.
    async fn greet_all(&self, names: Vec<String>) -> Result<Vec<String>, NotGreeted>;
    /// Whether somebody listens at an address such as `127.0.0.1:5555`. It uses tokio, which must run for that.
    #[method(runtime = "tokio", idempotent)]
    async fn is_open(&self, address: &str) -> bool;
}

/// Nobody greets.
#[speedysvc::data]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotGreeted {
    /// What the service `hello` said, or why it could not be asked.
    pub why: String,
}

/// A worker's connection to the other service.
pub struct Greeter {
    hello: HelloClient,
}

impl Greeter {
    /// Greets by this service.
    #[must_use]
    pub fn new(hello: HelloClient) -> Self {
        Self { hello }
    }
}

#[speedysvc::service]
impl Crowd for Greeter {
    async fn greet_all(&self, names: Vec<String>) -> Result<Vec<String>, NotGreeted> {
        // All calls are on their way before one is awaited. They are part of the call that this handler serves: they
        // get what is left of its time, are dropped with it when its caller gives up, and belong to its trace.
        let calls: Vec<_> = names.iter().map(|name| self.hello.start().hello(name)).collect();
        let mut greetings = Vec::new();
        for call in calls {
            greetings.push(call.await.map_err(|error| NotGreeted { why: error.to_string() })?);
        }
        Ok(greetings)
    }

    async fn is_open(&self, address: &str) -> bool {
        let connecting = tokio::net::TcpStream::connect(address);
        tokio::time::timeout(Duration::from_secs(1), connecting).await.is_ok_and(|connected| connected.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use hello::Hello;

    use super::*;

    struct Polite;

    #[speedysvc::service]
    impl Hello for Polite {
        fn hello(&self, name: &str) -> String {
            assert_ne!(name, "Nobody", "on purpose");
            format!("Good day, {name}")
        }
    }

    fn crowd() -> CrowdClient {
        CrowdClient::in_process(Greeter::new(HelloClient::in_process(Polite).unwrap())).unwrap()
    }

    /// Two services in one unit test, and no engine.
    #[test]
    fn everybody_is_greeted_in_order() {
        let names = ["Ada".to_owned(), "Grace".to_owned()];
        assert_eq!(crowd().greet_all(names.to_vec()).unwrap(), ["Good day, Ada", "Good day, Grace"]);
        let error = crowd().greet_all(vec!["Nobody".to_owned()]).unwrap_err();
        assert!(matches!(error, speedysvc::CallError::App(NotGreeted { why }) if why.contains("INTERNAL")));
    }

    #[test]
    fn an_address_is_open_while_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(crowd().is_open(&address).unwrap());
        drop(listener);
        assert!(!crowd().is_open(&address).unwrap());
    }
}
