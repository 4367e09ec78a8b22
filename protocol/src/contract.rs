//! What a service offers, and how two programs find out that they mean the same by it.

use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::hello::{Given, Refusal, Wanted};
use crate::ids::{Codec, MethodId, MethodIndex, Shape};
use crate::json::Defaults;
use crate::limits::METHODS_MAX;
use crate::status::Code;

/// A service as its trait declares it. The service macro writes one of these.
pub struct ServiceSpec {
    /// The name that clients connect to.
    pub name: &'static str,
    /// The trait's version, raised by its author when meaning changes.
    pub version: u32,
    /// The trait's doc comment.
    pub docs: &'static str,
    /// The methods, in the order of the trait: their place here is their [`MethodIndex`].
    pub methods: &'static [MethodSpec],
}

/// A method as its trait declares it.
pub struct MethodSpec {
    /// The method's name.
    pub name: &'static str,
    /// Name, types and result in one normal form, such as `total(&[u64]) -> Result<u64, TooBig>`.
    pub signature: &'static str,
    /// The method's doc comment.
    pub docs: &'static str,
    /// Whether running it twice does no more than running it once.
    pub idempotent: bool,
    /// Where its handler runs.
    pub runs: Runs,
    /// How clients that are built from this declaration write its calls. It answers in all codecs.
    pub codec: Codec,
    /// The names of its arguments, in order.
    pub arguments: &'static [&'static str],
    /// What they are when a caller leaves them out.
    pub defaults: &'static Defaults,
    /// The types, as schemas.
    pub schema: fn(&mut SchemaGenerator) -> MethodSchema,
}

/// Where a method's handler runs. No part of the contract: callers see no difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Runs {
    /// On the loop's thread, from its beginning to its end.
    #[default]
    OnTheLoop,
    /// On a thread beside the loop, because it blocks.
    Blocking,
    /// In pieces on the loop's thread: it is an `async fn`.
    Async,
    /// In pieces in a tokio runtime beside the loop: an `async fn` that uses tokio's libraries.
    Tokio,
}

/// The types of a method as JSON schemas.
pub struct MethodSchema {
    /// One for each argument, in order.
    pub arguments: Vec<Schema>,
    /// Of the result.
    pub result: Schema,
    /// Of the typed error, where there is one.
    pub error: Option<Schema>,
}

/// What two programs compare at connect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contract {
    /// The service's name.
    pub service: String,
    /// The trait's version.
    pub version: u32,
    /// The methods; a method's place is its [`MethodIndex`].
    pub methods: Vec<Method>,
}

/// One method of a [`Contract`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Method {
    /// The method's name.
    pub name: String,
    /// Name, types and result in normal form.
    pub signature: String,
    /// The hash of service, name and signature.
    pub id: MethodId,
    /// The hash of the types' structure.
    pub shape: Shape,
    /// Whether running it twice does no more than running it once. Not compared: the service's word counts.
    #[serde(default)]
    pub idempotent: bool,
    /// How clients that are built from this contract write its calls. Not compared: each call names its codec.
    #[serde(default)]
    pub codec: Codec,
}

impl ServiceSpec {
    /// The contract that this declaration stands for.
    ///
    /// # Panics
    /// When the trait has more than [`METHODS_MAX`] methods.
    #[must_use]
    pub fn contract(&self) -> Contract {
        assert!(self.methods.len() <= METHODS_MAX, "a service has at most {METHODS_MAX} methods");
        let methods = self.methods.iter().map(|method| Method {
            name: method.name.to_owned(),
            signature: method.signature.to_owned(),
            id: MethodId::of(self.name, method.signature),
            shape: method.shape(),
            idempotent: method.idempotent,
            codec: method.codec,
        });
        Contract { service: self.name.to_owned(), version: self.version, methods: methods.collect() }
    }

    /// A JSON description of the service with the schemas of its types, for people and generators.
    #[must_use]
    pub fn describe(&self) -> Value {
        let mut generator = SchemaGenerator::default();
        let methods: Vec<Value> = self.methods.iter().map(|method| method.describe(&mut generator)).collect();
        let definitions = generator.take_definitions(true);
        json!({
            "service": self.name, "version": self.version, "docs": self.docs,
            "methods": methods, "$defs": definitions,
        })
    }
}

impl MethodSpec {
    fn describe(&self, generator: &mut SchemaGenerator) -> Value {
        let schema = self.schema_with_defaults(generator);
        let arguments: Map<String, Value> = self
            .arguments
            .iter()
            .zip(schema.arguments)
            .map(|(name, schema)| ((*name).to_owned(), schema.into()))
            .collect();
        json!({
            "name": self.name, "signature": self.signature, "docs": self.docs, "idempotent": self.idempotent,
            "codec": self.codec, "arguments": arguments, "result": schema.result, "error": schema.error,
        })
    }

    /// The types, with the defaults of arguments that may be left out. These are no part of the shape: callers that
    /// send archives send all arguments.
    pub(crate) fn schema_with_defaults(&self, generator: &mut SchemaGenerator) -> MethodSchema {
        let mut schema = (self.schema)(generator);
        for (schema, default) in schema.arguments.iter_mut().zip(self.defaults) {
            if let Some(default) = default {
                schema.insert("default".to_owned(), default());
            }
        }
        schema
    }

    fn shape(&self) -> Shape {
        let mut generator = SchemaGenerator::default();
        let schema = (self.schema)(&mut generator);
        let mut types = json!([schema.arguments, schema.result, schema.error, generator.take_definitions(true)]);
        strip_prose(&mut types);
        Shape::of(&types.to_string())
    }
}

/// Doc comments travel in schemas; changing one must not change a contract.
fn strip_prose(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for prose in ["description", "title", "examples"] {
                if fields.get(prose).is_some_and(|text| !text.is_object()) {
                    fields.remove(prose);
                }
            }
            fields.values_mut().for_each(strip_prose);
        }
        Value::Array(values) => values.iter_mut().for_each(strip_prose),
        _ => {}
    }
}

impl Contract {
    /// The index of a method by its id.
    #[must_use]
    pub fn index_of(&self, id: MethodId) -> Option<MethodIndex> {
        self.methods.iter().position(|method| method.id == id).map(index)
    }

    /// The index of a method by its name.
    #[must_use]
    pub fn index_by_name(&self, name: &str) -> Option<MethodIndex> {
        self.methods.iter().position(|method| method.name == name).map(index)
    }

    /// Answers what a client wants to call, in its order.
    ///
    /// # Errors
    /// [`Refusal`] that names the first method that is missing or differs, and how.
    pub fn agree(&self, wanted: &[Wanted]) -> Result<Vec<Given>, Refusal> {
        wanted.iter().map(|wanted| self.agree_on(wanted)).collect()
    }

    fn agree_on(&self, wanted: &Wanted) -> Result<Given, Refusal> {
        let Some(place) = self.methods.iter().position(|method| method.name == wanted.name) else {
            let names: Vec<&str> = self.methods.iter().map(|method| method.name.as_str()).collect();
            let message = format!(
                "{} has no method `{}`; its methods are: {}",
                self.service,
                wanted.name,
                if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
            );
            return Err(Refusal { code: Code::Unimplemented, message });
        };
        let ours = &self.methods[place];
        if let Some(typed) = &wanted.typed {
            if typed.signature != ours.signature {
                let message = format!(
                    "the contract of {} differs: the service has `{}`, the client was built with `{}`",
                    self.service, ours.signature, typed.signature
                );
                return Err(Refusal { code: Code::FailedPrecondition, message });
            }
            if typed.shape != ours.shape {
                let message = format!(
                    "the contract of {} differs: the types of `{}` have other fields in the service than in the \
                     client; build both from the same source",
                    self.service, ours.signature
                );
                return Err(Refusal { code: Code::FailedPrecondition, message });
            }
        }
        Ok(Given { index: index(place), id: ours.id, idempotent: ours.idempotent })
    }
}

fn index(place: usize) -> MethodIndex {
    MethodIndex(u16::try_from(place).expect("a contract has at most METHODS_MAX methods"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::Typed;

    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Point {
        /// A comment.
        x: u32,
        y: u32,
    }

    #[derive(schemars::JsonSchema)]
    #[schemars(rename = "Point")]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Swapped {
        y: u32,
        x: u32,
    }

    fn spec<T: schemars::JsonSchema>(signature: &'static str) -> MethodSpec {
        MethodSpec {
            name: "draw",
            signature,
            docs: "",
            idempotent: true,
            runs: Runs::default(),
            codec: Codec::default(),
            arguments: &["point"],
            defaults: &[],
            schema: |g| MethodSchema {
                arguments: vec![g.subschema_for::<T>()],
                result: g.subschema_for::<()>(),
                error: None,
            },
        }
    }

    fn contract(method: MethodSpec) -> Contract {
        let methods = Box::leak(Box::new([method]));
        ServiceSpec { name: "pen", version: 1, docs: "", methods }.contract()
    }

    fn wants(contract: &Contract) -> Vec<Wanted> {
        let typed = |m: &Method| Some(Typed { signature: m.signature.clone(), shape: m.shape });
        contract.methods.iter().map(|m| Wanted { name: m.name.clone(), typed: typed(m) }).collect()
    }

    #[test]
    fn equal_contracts_agree_and_others_name_the_difference() {
        let ours = contract(spec::<Point>("draw(Point)"));
        let given = ours.agree(&wants(&ours)).unwrap()[0];
        assert_eq!((given.index, given.idempotent), (MethodIndex(0), true));
        let other = contract(spec::<Point>("draw(&Point)"));
        let refusal = ours.agree(&wants(&other)).unwrap_err();
        assert!(refusal.message.contains("`draw(Point)`") && refusal.message.contains("`draw(&Point)`"));
    }

    #[test]
    fn the_order_of_fields_is_part_of_the_shape_and_comments_are_not() {
        let (ours, theirs) = (contract(spec::<Point>("draw(Point)")), contract(spec::<Swapped>("draw(Point)")));
        assert_ne!(ours.methods[0].shape, theirs.methods[0].shape);
        let mut with = json!({"description": "a", "properties": {"description": {"type": "string"}}});
        strip_prose(&mut with);
        assert_eq!(with, json!({"properties": {"description": {"type": "string"}}}));
    }

    #[test]
    fn a_missing_method_is_answered_with_the_list() {
        let ours = contract(spec::<Point>("draw(Point)"));
        let refusal = ours.agree(&[Wanted { name: "drow".into(), typed: None }]).unwrap_err();
        assert!(refusal.message.contains("`drow`") && refusal.message.contains("draw"));
    }
}
