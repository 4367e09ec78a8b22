#[speedysvc::service(nam = "echo")]
pub trait UnknownKey {
    fn get(&self) -> u8;
}

#[speedysvc::service(name = "Bad Name")]
pub trait BadName {
    fn get(&self) -> u8;
}

#[speedysvc::service(version = "1")]
pub trait BadVersion {
    fn get(&self) -> u8;
}

#[speedysvc::service(version = 4294967296)]
pub trait LargeVersion {
    fn get(&self) -> u8;
}

fn main() {}
