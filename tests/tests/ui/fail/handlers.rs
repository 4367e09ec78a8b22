#[speedysvc::service]
pub trait BlockingAsync {
    #[method(blocking)]
    async fn get(&self) -> u8;
}

#[speedysvc::service]
pub trait OtherRuntime {
    #[method(runtime = "smol")]
    async fn get(&self) -> u8;
}

#[speedysvc::service]
pub trait RuntimeOfNothing {
    #[method(runtime = "tokio")]
    fn get(&self) -> u8;
}

#[speedysvc::service]
pub trait BlockingValue {
    #[method(blocking = 3)]
    fn get(&self) -> u8;
}

#[speedysvc::service]
pub trait BareDefault {
    fn get(&self, #[default] count: u8) -> u8;
}

#[speedysvc::service]
pub trait TwoDefaults {
    fn get(&self, #[default(1)] #[default(2)] count: u8) -> u8;
}

fn main() {}
