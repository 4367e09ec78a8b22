#[speedysvc::service]
pub trait Unsafe {
    #[method(codec = "pickle")]
    fn pickled(&self) -> u8;
    #[method(codec = "marshal")]
    fn marshalled(&self) -> u8;
}

#[speedysvc::service]
pub trait Unknown {
    #[method(codec = "cbor")]
    fn get(&self) -> u8;
}

#[speedysvc::service]
pub trait NoText {
    #[method(codec = json)]
    fn get(&self) -> u8;
    #[method(codec)]
    fn bare(&self) -> u8;
}

#[speedysvc::service]
pub trait NotRaw {
    #[method(codec = "raw")]
    fn text(&self, text: &str) -> Vec<u8>;
    #[method(codec = "raw")]
    fn two(&self, first: &[u8], second: &[u8]) -> Vec<u8>;
    #[method(codec = "raw")]
    fn nothing(&self, bytes: &[u8]) -> Result<(), u8>;
}

#[speedysvc::service]
pub trait Twice {
    #[method(codec = "json", codec = "msgpack")]
    fn get(&self) -> u8;
}

fn main() {}
