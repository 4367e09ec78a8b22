#[speedysvc::service]
pub trait OfType<T> {
    fn get(&self) -> T;
}

#[speedysvc::service]
pub trait OfMethods {
    fn of_type<T>(&self, value: T);
    fn of_lifetime<'a>(&self, text: &'a str);
    fn bounded(&self)
    where
        Self: Sized;
}

struct Host;

trait Other<T> {}

#[speedysvc::service]
impl Other<u8> for Host {}

fn main() {}
