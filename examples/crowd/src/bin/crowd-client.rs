//! Greets those who are named on the command line.
#![forbid(unsafe_code)]

use std::error::Error;

use crowd::CrowdClient;

fn main() -> Result<(), Box<dyn Error>> {
    let crowd = CrowdClient::connect("service://crowd")?;
    for greeting in crowd.greet_all(std::env::args().skip(1).collect())? {
        println!("{greeting}");
    }
    Ok(())
}
