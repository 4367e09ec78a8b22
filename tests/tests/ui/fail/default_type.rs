#[speedysvc::service]
pub trait WrongDefault {
    fn get(&self, #[default("ten")] count: u8) -> u8;
}

fn main() {}
