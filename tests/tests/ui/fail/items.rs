#[speedysvc::service]
pub trait Items {
    const LIMIT: u8;
    type Output;
    fn connect(&self);
    #[cfg(unix)]
    fn sometimes(&self);
    #[rustfmt::skip]
    fn many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8);
    fn nameless(&self, _: u8);
    fn pattern(&self, (_a, _b): (u8, u8)) {}
    fn a_name_that_is_longer_than_any_name_on_the_wire_may_be(&self);
    fn health(&self);
}

#[speedysvc::service]
pub trait Empty {}

#[speedysvc::service]
pub struct NoTrait;

fn main() {}
