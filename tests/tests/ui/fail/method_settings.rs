#[speedysvc::service]
pub trait UnknownKey {
    #[method(idempotant)]
    fn get(&self) -> u8;
}

#[speedysvc::service]
pub trait Bare {
    #[method]
    fn get(&self) -> u8;
}

#[speedysvc::service]
pub trait WithAValue {
    #[method(idempotent = true)]
    fn get(&self) -> u8;
}

#[speedysvc::service]
pub trait Twice {
    #[method(idempotent)]
    #[method(idempotent)]
    fn get(&self) -> u8;
}

fn main() {}
