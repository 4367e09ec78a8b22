use speedysvc::Archived;

#[speedysvc::data]
pub struct Row(u8);

#[speedysvc::service]
pub trait Lends {
    fn to_change(&self) -> &mut Row;
    fn perhaps(&self) -> Option<&Row>;
    fn many(&self) -> Vec<&str>;
    fn slice(&self) -> &[u64];
    fn twice(&self) -> &&Row;
    fn view(&self, rows: &Archived<Row>) -> &Archived<Row>;
    fn fallible(&self) -> &Result<Row, Row>;
    fn error(&self) -> Result<u8, &Row>;
    fn undeclared(&self, text: &str) -> &'a str;
    fn nobody<'a>(&self, text: &str) -> &'a str;
    fn made<'a>(&self, row: &'a Row) -> &'a Row;
    fn forever(&self, text: &'static str) -> &'static str;
    fn other<'a, 'b>(&self, one: &'a str, other: &'b str) -> &'a str;
    fn bounded<'a: 'static>(&self, text: &'a str) -> &'a str;
    fn given<'a>(&'a self, text: &'a str) -> String;
}

mod no_data {
    pub struct Forgotten;

    #[speedysvc::service]
    pub trait Lends {
        fn lent(&self) -> Result<&Forgotten, u8>;
    }

    pub struct Host(Forgotten);

    #[speedysvc::service]
    impl Lends for Host {
        fn lent(&self) -> Result<&Forgotten, u8> {
            Ok(&self.0)
        }
    }
}

fn main() {}
