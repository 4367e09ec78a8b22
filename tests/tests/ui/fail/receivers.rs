#[speedysvc::service]
pub trait Service {
    fn without(text: &str);
    fn exclusive(&mut self);
    fn by_value(self);
    fn boxed(self: Box<Self>);
    fn with_lifetime(&'static self);
}

fn main() {}
