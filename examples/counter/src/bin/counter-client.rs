//! An async client: a hundred additions in flight at once, from one thread.
#![forbid(unsafe_code)]

use std::error::Error;

use counter::CounterClient;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let counter = CounterClient::connect("service://counter")?;
    let starter = counter.start();
    // Each is started, and none is waited for yet.
    let additions: Vec<_> = (0..100).map(|_| starter.add("visits", 1)).collect();
    let mut largest = 0;
    for addition in additions {
        largest = addition.await?.max(largest);
    }
    println!("{largest} visits, and {} says so", counter.connected_to());
    Ok(())
}
