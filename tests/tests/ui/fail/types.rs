use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use speedysvc::Archived;

#[speedysvc::service]
pub trait Arguments {
    fn shared(&self, a: Rc<u8>, b: &Option<Arc<u8>>);
    fn unordered(&self, a: HashMap<u8, u8>, b: &[HashSet<u8>; 2]);
    fn slice(&self, numbers: &[u64]);
    fn exclusive(&self, out: &mut Vec<u8>);
    fn forever(&self, text: &'static str);
    fn nested(&self, texts: Vec<&str>);
    fn owned_view(&self, view: Archived<u8>);
    fn nested_view(&self, view: Option<&Archived<u8>>);
    fn open(&self, show: &dyn ToString);
    fn whatever(&self, show: impl ToString);
}

#[speedysvc::service]
pub trait Results {
    fn borrowed(&self) -> Option<&str>;
    fn view(&self) -> Archived<u8>;
    fn own(&self) -> Self;
    fn open(&self) -> impl ToString;
    fn untyped(&self) -> std::io::Result<u8>;
    fn shared(&self) -> Result<u8, Arc<u8>>;
}

fn main() {}
