#[speedysvc::service]
pub trait Echo {
    fn echo(&self, text: &str) -> String;
}

struct Host;

#[speedysvc::service]
impl Host {
    pub fn echo(&self, text: &str) -> String {
        text.to_owned()
    }
}

#[speedysvc::service(name = "echo")]
impl Echo for Host {
    fn echo(&self, text: &str) -> String {
        text.to_owned()
    }
}

struct NotShared(std::cell::Cell<u8>);

#[speedysvc::service]
impl Echo for NotShared {
    fn echo(&self, text: &str) -> String {
        text.to_owned()
    }
}

fn main() {}
