//! A trait as it was written becomes a declaration, or errors that say what to do.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, FnArg, GenericParam, Generics, ItemTrait, Lifetime, Meta, Pat, PatType, ReceiverKind,
    Result, Safety, Signature, TraitItem, TraitItemFn, Visibility,
};

use crate::lent::{self, Lent};
use crate::method_settings::{self, MethodSettings};
use crate::settings::{self, NAME_MAX, Settings};
use crate::signature;
use crate::text::docs;
use crate::types::{self, Argument, Kind, Output};

/// rkyv archives tuples of up to 13, serde reads up to 16.
const ARGUMENTS_MAX: usize = 12;
/// As `speedysvc_protocol::limits::METHODS_MAX` says.
const METHODS_MAX: usize = 512;
/// What the generated client has of its own.
const TAKEN: &[&str] =
    &["connect", "connect_in_order", "connected_to", "in_process", "in_process_with_faults", "start", "with_timeout"];
/// What the engine answers for every service, as `speedysvc_protocol::standard` says.
const STANDARD: &[&str] = &["describe", "health"];

pub struct Declaration {
    pub visibility: Visibility,
    pub ident: Ident,
    pub settings: Settings,
    pub docs: String,
    pub carried: Vec<Attribute>,
    pub methods: Vec<Method>,
}

pub struct Method {
    pub index: usize,
    pub ident: Ident,
    pub name: String,
    pub signature: String,
    pub settings: MethodSettings,
    pub is_async: bool,
    /// The lifetime in `&'a self`.
    pub own_lifetime: Option<Lifetime>,
    pub docs: String,
    pub carried: Vec<Attribute>,
    pub arguments: Vec<Argument>,
    pub output: Output,
}

pub fn read(settings: TokenStream, item: &ItemTrait) -> Result<Declaration> {
    let mut errors = Errors::default();
    errors.note(check_trait(item));
    let settings = errors.note(settings::read(settings, &item.ident));
    let items = item.items.iter().enumerate();
    let methods = items.filter_map(|(index, item)| errors.note(read_item(index, item))).collect();
    errors.end()?;
    Ok(Declaration {
        visibility: item.vis.clone(),
        ident: item.ident.clone(),
        settings: settings.expect("without an error there are settings"),
        docs: docs(&item.attrs),
        carried: carried(&item.attrs),
        methods,
    })
}

/// All errors of a trait, so that none hides behind another.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    fn end(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

fn check_trait(item: &ItemTrait) -> Result<()> {
    if let Some(token) = &item.unsafety {
        return Err(Error::new(token.span, "a service is safe to implement and to call"));
    }
    if let Some(token) = &item.modifiers.auto_token {
        return Err(Error::new(token.span, "a service is an ordinary trait"));
    }
    match item.items.len() {
        0 => Err(Error::new_spanned(&item.ident, "a service has at least one method: `fn name(&self, ...) -> T;`")),
        1..=METHODS_MAX => check_generics(&item.generics, "a service"),
        _ => Err(Error::new_spanned(&item.ident, format!("a service has at most {METHODS_MAX} methods: make it two"))),
    }
}

fn check_generics(generics: &Generics, what: &str) -> Result<()> {
    let message = || format!("{what} has no generics: both programs must know its types exactly; name them");
    match (generics.params.first(), &generics.where_clause) {
        (Some(first), _) => Err(Error::new_spanned(first, message())),
        (None, Some(clause)) => Err(Error::new_spanned(clause, message())),
        (None, None) => Ok(()),
    }
}

fn read_item(index: usize, item: &TraitItem) -> Result<Method> {
    match item {
        TraitItem::Fn(item) => read_method(index, item),
        other => Err(Error::new_spanned(other, "a service has methods only: `fn name(&self, ...) -> T;`")),
    }
}

fn read_method(index: usize, item: &TraitItemFn) -> Result<Method> {
    let mut errors = Errors::default();
    errors.note(check_method(item));
    errors.note(check_receiver(&item.sig));
    let typed = item.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let arguments: Vec<Argument> = typed.filter_map(|typed| errors.note(read_argument(typed))).collect();
    let mut output = errors.note(Output::of(&item.sig.output));
    let lent = output.as_mut().and_then(|output| output.lent.as_mut());
    errors.note(check_method_generics(&item.sig.generics, lent.as_deref()));
    errors.note(lent::check(&item.sig, &arguments, lent));
    let settings = errors.note(method_settings::read(&item.attrs));
    errors.note(settings.as_ref().map_or(Ok(()), |settings| settings.check(&item.sig)));
    if let (Some(output), Some((codec, place))) = (&output, settings.as_ref().and_then(|settings| settings.codec)) {
        errors.note(codec.check(&arguments, output, place));
    }
    errors.end()?;
    let settings = settings.expect("without an error there are settings");
    let (output, name) = (output.expect("without an error there is an output"), item.sig.ident.unraw().to_string());
    Ok(Method {
        index,
        ident: item.sig.ident.clone(),
        signature: signature::normal_form(&name, &arguments, &output),
        name,
        settings,
        is_async: item.sig.asyncness.is_some(),
        own_lifetime: item.sig.receiver().and_then(lent::lifetime_of).cloned(),
        docs: docs(&item.attrs),
        carried: carried(&item.attrs),
        arguments,
        output,
    })
}

fn check_method(item: &TraitItemFn) -> Result<()> {
    let (signature, name) = (&item.sig, item.sig.ident.unraw().to_string());
    if let Some(cfg) = item.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
        return Err(Error::new_spanned(cfg, "both programs need the same methods: a method is there, or it is not"));
    }
    if let Some(what) = odd_part(signature) {
        return Err(Error::new_spanned(what, "a method is a plain `fn`: this has no meaning across processes"));
    }
    if TAKEN.contains(&name.as_str()) {
        let message = format!("the client has a function `{name}` of its own: give the method another name");
        return Err(Error::new_spanned(&signature.ident, message));
    }
    if STANDARD.contains(&name.as_str()) {
        let message = format!("every service answers `{name}` by itself: give the method another name");
        return Err(Error::new_spanned(&signature.ident, message));
    }
    if name.len() > NAME_MAX {
        return Err(Error::new_spanned(&signature.ident, format!("a method's name has at most {NAME_MAX} bytes")));
    }
    if signature.inputs.len() > ARGUMENTS_MAX + 1 {
        let message =
            format!("a method takes at most {ARGUMENTS_MAX} arguments: put some into a #[speedysvc::data] struct");
        return Err(Error::new_spanned(&signature.inputs, message));
    }
    Ok(())
}

/// A method may have a lifetime, for what it lends.
fn check_method_generics(generics: &Generics, lent: Option<&Lent>) -> Result<()> {
    let mut others = generics.clone();
    let is_lent = |parameter: &GenericParam| match parameter {
        GenericParam::Lifetime(it) => {
            it.bounds.is_empty() && lent.is_some_and(|lent| lent.lifetime.as_ref() == Some(&it.lifetime))
        }
        _ => false,
    };
    others.params = generics.params.iter().filter(|parameter| !is_lent(parameter)).cloned().collect();
    check_generics(&others, "a method of a service")
}

fn odd_part(signature: &Signature) -> Option<TokenStream> {
    let safety = match &signature.safety {
        Safety::Default => None,
        other => Some(other.to_token_stream()),
    };
    let constness = signature.constness.as_ref().map(ToTokens::to_token_stream);
    let abi = signature.abi.as_ref().map(ToTokens::to_token_stream);
    let variadic = signature.variadic.as_ref().map(ToTokens::to_token_stream);
    safety.or(constness).or(abi).or(variadic)
}

fn check_receiver(signature: &Signature) -> Result<()> {
    let Some(receiver) = signature.receiver() else {
        let message = "a method begins with `&self`: calls go to a service that runs";
        return Err(Error::new_spanned(&signature.ident, message));
    };
    let message = match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => return Ok(()),
        ReceiverKind::Reference(_, _, Some(_)) => {
            "many calls run at once, so a method takes `&self`: keep what changes in a Mutex or an atomic"
        }
        _ => "a method takes `&self`: many calls share one service",
    };
    Err(Error::new_spanned(receiver, message))
}

fn read_argument(typed: &PatType) -> Result<Argument> {
    match &*typed.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => {
            let (name, lifetime) = (pat.ident.clone(), types::lifetime_of(&typed.ty));
            Ok(Argument { name, kind: Kind::of(&typed.ty)?, lifetime, default: read_default(&typed.attrs)? })
        }
        other => Err(Error::new(other.span(), "an argument has a name, by which JSON callers send it: no pattern")),
    }
}

/// The value in `#[default(...)]`.
fn read_default(attributes: &[Attribute]) -> Result<Option<Expr>> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("default")) {
        if !matches!(attribute.meta, Meta::List(_)) {
            let message = "write the value that callers may leave out: #[default(10)]";
            return Err(Error::new_spanned(attribute, message));
        }
        if found.replace(attribute.parse_args()?).is_some() {
            return Err(Error::new_spanned(attribute, "this argument has a default already"));
        }
    }
    Ok(found)
}

/// What is true of the generated client too.
fn carried(attributes: &[Attribute]) -> Vec<Attribute> {
    let is_carried = |attribute: &&Attribute| ["doc", "deprecated"].iter().any(|name| attribute.path().is_ident(name));
    attributes.iter().filter(is_carried).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> std::result::Result<Declaration, String> {
        read(TokenStream::new(), &syn::parse_str(text).unwrap()).map_err(|error| {
            let messages: Vec<String> = error.into_iter().map(|error| error.to_string()).collect();
            messages.join("\n")
        })
    }

    #[test]
    fn methods_keep_their_order_names_and_docs() {
        let declared =
            read_text("/** Says it. */ trait Echo { fn r#try(&self, r#in: &'_ str) -> String; fn b(&self); }");
        let declared = declared.unwrap();
        assert_eq!((declared.docs.as_str(), declared.settings.name.as_str()), ("Says it.", "echo"));
        let signatures = declared.methods.iter().map(|method| (method.index, method.signature.as_str()));
        assert!(signatures.eq([(0, "try(&str) -> String"), (1, "b()")]));
    }

    #[test]
    fn what_is_more_than_a_method_is_refused() {
        for odd in ["unsafe fn a(&self);", "extern \"C\" fn a(&self);", "const fn a(&self);"] {
            let message = read_text(&format!("trait Odd {{ {odd} }}")).err().unwrap();
            assert!(message.contains("a plain `fn`"), "{odd}: {message}");
        }
        for odd in ["unsafe trait Odd { fn a(&self); }", "auto trait Odd { fn a(&self); }"] {
            assert!(read_text(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn all_errors_are_said_at_once() {
        let message =
            read_text("trait Wrong<T> { fn a(&mut self, x: Rc<u8>) -> &mut u8; const B: u8; }").err().unwrap();
        assert_eq!(message.lines().count(), 5, "{message}");
    }

    #[test]
    fn limits_are_those_of_the_protocol() {
        let methods = |count: usize| -> String { (0..count).map(|nth| format!("fn m{nth}(&self);")).collect() };
        assert!(read_text(&format!("trait Full {{ {} }}", methods(METHODS_MAX))).is_ok());
        let message = read_text(&format!("trait Over {{ {} }}", methods(METHODS_MAX + 1))).err().unwrap();
        assert!(message.contains("at most 512 methods"), "{message}");
        let arguments = |count: usize| -> String { (0..count).map(|nth| format!(", a{nth}: u8")).collect() };
        assert!(read_text(&format!("trait Full {{ fn m(&self{}); }}", arguments(ARGUMENTS_MAX))).is_ok());
        assert!(read_text(&format!("trait Over {{ fn m(&self{}); }}", arguments(ARGUMENTS_MAX + 1))).is_err());
    }
}
