//! The handler's side: from a call's bytes to the trait's method, and its result to the reply.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote};
use syn::Lifetime;
use syn::ext::IdentExt;

use crate::declaration::{Declaration, Method};
use crate::generic::{Names, value_ident};
use crate::lent::{Lent, What};
use crate::spec::service_ident;
use crate::types::{Argument, Kind};

pub fn generate(declared: &Declaration) -> TokenStream {
    let (target, service) = (&declared.ident, service_ident(&declared.ident));
    let runners = declared.methods.iter().map(|method| runner(declared, method));
    let arm = |method: &&Method| (Literal::usize_unsuffixed(method.index), runner_ident(method));
    let (asyncs, syncs): (Vec<&Method>, Vec<&Method>) = declared.methods.iter().partition(|method| method.is_async);
    let arms = syncs.iter().map(arm).map(|(index, run)| quote!(#index => Self::#run(target, call),));
    let async_arms =
        asyncs.iter().map(arm).map(|(index, run)| quote!(#index => Self::#run(&*target, call.call()).await,));
    let unknown = format!("{} has no method number {{}}", declared.settings.name);
    quote! {
        #[allow(dead_code, reason = "a program may use one side of a service only")]
        #[allow(deprecated, reason = "methods that are old answer too")]
        #[allow(unused_variables, reason = "there may be no method of a kind")]
        impl #service {
            /// Runs one call on what implements the trait.
            #[doc(hidden)]
            pub fn dispatch<Target_: #target + ?::core::marker::Sized>(
                target: &Target_,
                method: ::speedysvc::__private::ids::MethodIndex,
                call: ::speedysvc::__private::service::Call<'_>,
            ) -> ::core::result::Result<(), ::speedysvc::__private::status::Failure> {
                match method.0 {
                    #(#arms)*
                    other => ::core::result::Result::Err(::speedysvc::__private::status::Failure::not_started(
                        ::speedysvc::__private::status::Code::Unimplemented,
                        ::std::format!(#unknown, other),
                    )),
                }
            }

            /// Begins one call of an `async fn`.
            #[doc(hidden)]
            pub fn begin<Target_: #target + 'static>(
                target: ::std::sync::Arc<Target_>,
                method: ::speedysvc::__private::ids::MethodIndex,
                mut call: ::speedysvc::__private::service::OwnedCall,
            ) -> ::speedysvc::__private::service::Begun {
                ::std::boxed::Box::pin(async move {
                    let ended: ::core::result::Result<(), ::speedysvc::__private::status::Failure> = match method.0 {
                        #(#async_arms)*
                        other => ::core::result::Result::Err(::speedysvc::__private::status::Failure::not_started(
                            ::speedysvc::__private::status::Code::Unimplemented,
                            ::std::format!(#unknown, other),
                        )),
                    };
                    if let ::core::result::Result::Err(failure) = ended {
                        call.reply.fail(&failure);
                    }
                    call
                })
            }

            #(#runners)*
        }
    }
}

fn of_the_service() -> Lifetime {
    Lifetime::new("'__service", Span::call_site())
}

/// How long a handler's service is borrowed, where it is the one that lends, or may be.
fn own_lifetime(method: &Method) -> Option<Lifetime> {
    let lent = method.output.lent.as_ref()?;
    if lent.is_of_an_argument() { method.own_lifetime.clone() } else { Some(of_the_service()) }
}

fn runner_ident(method: &Method) -> Ident {
    format_ident!("run_{}", method.ident.unraw())
}

/// One function for each method, and inside it the one that reads the arguments, runs the handler and writes the reply.
fn runner(declared: &Declaration, method: &Method) -> TokenStream {
    let (run, name, names) = (runner_ident(method), &method.ident, Names::of(declared, method));
    let (target, service) = (&declared.ident, service_ident(&declared.ident));
    let lent = method.output.lent.as_ref();
    let lives = lent.map(|lent| lent.lifetime.clone().unwrap_or_else(of_the_service));
    let output = output(&names, lent.zip(lives.as_ref()));
    let (bound, own) = (lives.iter().map(|life| quote!(for<#life>)), own_lifetime(method));
    let types = names.types();
    let taken = names.arguments().map(|(place, argument)| taken(&names, place, argument));
    let values: Vec<Ident> = names.arguments().map(|(place, _)| value_ident(place)).collect();
    let read = read_arguments(&names, method.index);
    let handed_over = names.arguments().map(|(place, argument)| handed_over(&names, place, &argument.kind));
    let called = quote!(handler(target, #(#handed_over),*));
    let (asyncness, called_once, called, awaited) = match method.is_async {
        true => (quote!(async), quote!(::core::ops::AsyncFnOnce), quote!(#called.await), quote!(.await)),
        false => (quote!(), quote!(::core::ops::FnOnce), called, quote!()),
    };
    let write = write_result(&names, lent, &called);
    quote! {
        #asyncness fn #run<Target_: #target + ?::core::marker::Sized>(
            target: &Target_,
            call: ::speedysvc::__private::service::Call<'_>,
        ) -> ::core::result::Result<(), ::speedysvc::__private::status::Failure> {
            #asyncness fn typed<S: #types, Target_: ?::core::marker::Sized>(
                target: &Target_,
                call: ::speedysvc::__private::service::Call<'_>,
                handler: impl #(#bound)* #called_once(&#own Target_, #(#taken),*) -> #output,
            ) -> ::core::result::Result<(), ::speedysvc::__private::status::Failure> {
                #read
                #write
            }
            typed::<#service, Target_>(
                target,
                call,
                #asyncness |target, #(#values),*| <Target_ as #target>::#name(target, #(#values),*) #awaited,
            ) #awaited
        }
    }
}

/// What a handler gives, or lends for as long as that.
fn output(names: &Names<'_>, lent: Option<(&Lent, &Lifetime)>) -> TokenStream {
    let ok = names.ok();
    let ok = match lent {
        None => ok,
        Some((Lent { what: What::Str, .. }, life)) => quote!(&#life ::core::primitive::str),
        Some((Lent { what: What::Bytes, .. }, life)) => quote!(&#life [::core::primitive::u8]),
        Some((Lent { what: What::Value, .. }, life)) => quote!(&#life #ok),
    };
    match names.error() {
        Some(error) => quote!(::core::result::Result<#ok, #error>),
        None => ok,
    }
}

/// The type of an argument as the handler takes it.
fn taken(names: &Names<'_>, place: usize, argument: &Argument) -> TokenStream {
    let (wire, life) = (names.wire(place, &argument.kind), &argument.lifetime);
    match &argument.kind {
        Kind::Str => quote!(&#life ::core::primitive::str),
        Kind::Bytes => quote!(&#life [::core::primitive::u8]),
        Kind::View(_) => quote!(&#life ::speedysvc::__private::archive::Archived<#wire>),
        Kind::Shared(_) => quote!(&#wire),
        Kind::Owned(_) => wire,
    }
}

fn read_arguments(names: &Names<'_>, index: usize) -> TokenStream {
    let (service, index) = (names.service(), Literal::usize_unsuffixed(index));
    let keys = names.arguments().map(|(_, argument)| argument.name.unraw().to_string());
    let wire = names.arguments().map(|(place, argument)| names.wire(place, &argument.kind));
    let json = names.arguments().map(|(place, argument)| names.json(place, &argument.kind));
    let raw = names.has_raw_form();
    let rewritten = names.arguments().map(|(place, argument)| rewritten(&argument.kind, place));
    // A method without arguments takes an empty JSON array, which serde does not read as `()`.
    let (archived, values, json) = match names.arguments().next() {
        None => (quote!(_), quote!(_), quote!([::core::primitive::u8; 0])),
        Some(_) => (quote!(archived), quote!(values), quote!((#(#json,)*))),
    };
    let read = match names.is_one_byte_string() {
        true => quote!(::speedysvc::__private::service::byte_string::<#json>),
        false => quote!(::speedysvc::__private::service::arguments::<(#(#wire,)*), #json>),
    };
    quote! {
        let #archived = #read(
            call.codec,
            call.body.bytes(),
            // Made once: before a call that needs none of it nothing is put together.
            const {
                &::speedysvc::__private::service::Form {
                    names: &[#(#keys),*],
                    raw: #raw,
                    defaults: #service::SPEC.methods[#index].defaults,
                }
            },
            call.scratch,
            |#values, out| ::speedysvc::__private::archive::encode(&(#(#rewritten,)*), out),
        )?;
    }
}

/// An argument that came as JSON, as it goes into an archive.
fn rewritten(kind: &Kind, place: usize) -> TokenStream {
    let place = Literal::usize_unsuffixed(place);
    if kind.is_byte_string() {
        quote!(::speedysvc::__private::archive::Bytes(&values.#place.0))
    } else {
        quote!(::speedysvc::__private::archive::Ref(&values.#place))
    }
}

/// An argument as the handler gets it.
fn handed_over(names: &Names<'_>, place: usize, kind: &Kind) -> TokenStream {
    let (wire, place) = (names.wire(place, kind), Literal::usize_unsuffixed(place));
    let value = || match kind.is_byte_string() {
        true => quote!(archived.#place.as_slice().to_vec()),
        false => quote!(::speedysvc::__private::archive::take::<#wire>(&archived.#place)?),
    };
    match kind {
        Kind::Str => quote!(archived.#place.as_str()),
        Kind::Bytes => quote!(archived.#place.as_slice()),
        Kind::View(_) => quote!(&archived.#place),
        Kind::Shared(_) => {
            let value = value();
            quote!(&#value)
        }
        Kind::Owned(_) => value(),
    }
}

fn write_result(names: &Names<'_>, lent: Option<&Lent>, call: &TokenStream) -> TokenStream {
    let write = match (lent.map(|lent| lent.what), names.is_byte_string()) {
        (None, true) => quote!(call.reply.ok_bytes(call.codec, value)),
        (None, false) => quote!(call.reply.ok(call.codec, &value)),
        (Some(What::Str), _) => quote!(call.reply.ok(call.codec, &::speedysvc::__private::archive::Str(value))),
        (Some(_), true) => quote!(call.reply.ok_lent_bytes(call.codec, value)),
        (Some(_), false) => quote!(call.reply.ok(call.codec, value)),
    };
    let is_of_an_argument = lent.is_some_and(Lent::is_of_an_argument);
    let over = (!is_of_an_argument).then(|| quote!(call.reply.over(call.body);));
    let write = if is_of_an_argument { unless_over(names, lent, &write) } else { write };
    match names.error() {
        None => quote! {
            let value = #call;
            #over
            #write
        },
        Some(_) => quote! {
            let result = #call;
            #over
            match result {
                ::core::result::Result::Ok(value) => { #write }
                ::core::result::Result::Err(error) => call.reply.application(call.codec, &error),
            }
        },
    }
}

/// Writes what may lie in the arguments. Over those goes a copy: so a large one costs no more than one that is given.
fn unless_over(names: &Names<'_>, lent: Option<&Lent>, write: &TokenStream) -> TokenStream {
    let give = match (lent.map(|lent| lent.what), names.is_byte_string()) {
        (Some(What::Str), _) => quote!(call.reply.ok(call.codec, &value)),
        (_, true) => quote!(call.reply.ok_bytes(call.codec, value)),
        (_, false) => return write.clone(),
    };
    quote! {
        if call.body.is_written_over() {
            let value = ::std::borrow::ToOwned::to_owned(value);
            call.reply.over(call.body);
            #give
        } else {
            #write
        }
    }
}
