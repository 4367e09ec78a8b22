//! A type of the user's without `#[speedysvc::data]`.

pub struct Point {
    pub x: u8,
}

pub struct TooBig;

#[speedysvc::service]
pub trait Draw {
    fn draw(&self, point: Point);
    fn find(&self, name: &str) -> Option<Point>;
    fn move_to(&self, point: &Point) -> Result<(), TooBig>;
}

fn main() {}
