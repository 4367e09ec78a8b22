//! The client.
#![forbid(unsafe_code)]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hello = hello::HelloClient::connect("shm://hello")?;
    println!("{}", hello.hello("World")?);
    Ok(())
}
