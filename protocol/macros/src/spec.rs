//! What both sides agree on: `EchoService` with the declaration, the contract and the description.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

use crate::declaration::{Declaration, Method};
use crate::generic::{Names, base64};
use crate::types::{Argument, Kind};

/// `EchoService` for `Echo`.
pub fn service_ident(trait_ident: &Ident) -> Ident {
    format_ident!("{}Service", trait_ident.unraw(), span = trait_ident.span())
}

pub fn generate(declared: &Declaration) -> TokenStream {
    let Declaration { visibility, ident, .. } = declared;
    let service = service_ident(ident);
    let about = format!("What programs that offer and programs that call [`{}`] agree on.", ident.unraw());
    let constant = constant(declared);
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        #visibility enum #service {}

        #[allow(dead_code, reason = "a program may use one side of a service only")]
        impl #service {
            #constant

            /// What is compared when a client connects.
            #[must_use]
            pub fn contract() -> &'static ::speedysvc::__private::contract::Contract {
                static CONTRACT: ::std::sync::OnceLock<::speedysvc::__private::contract::Contract> =
                    ::std::sync::OnceLock::new();
                CONTRACT.get_or_init(|| Self::SPEC.contract())
            }

            /// The service in JSON, with the schemas of its types, for people and generators.
            #[must_use]
            pub fn describe() -> ::speedysvc::__private::serde_json::Value {
                Self::SPEC.describe()
            }
        }
    }
}

fn constant(declared: &Declaration) -> TokenStream {
    let Declaration { settings, docs, methods, .. } = declared;
    let (name, version) = (&settings.name, settings.version);
    let methods = methods.iter().map(|method| method_spec(declared, method));
    quote! {
        /// The declaration: names, signatures, doc comments and schemas.
        pub const SPEC: ::speedysvc::__private::contract::ServiceSpec =
            ::speedysvc::__private::contract::ServiceSpec {
                name: #name,
                version: #version,
                docs: #docs,
                methods: &[#(#methods),*],
            };
    }
}

fn method_spec(declared: &Declaration, method: &Method) -> TokenStream {
    let Method { name, signature, docs, arguments, .. } = method;
    let idempotent = method.settings.idempotent;
    let (runs, defaults) = (method.settings.runs(method.is_async), arguments.iter().map(default));
    let codec = method.settings.codec().variant();
    let keys = arguments.iter().map(|argument| argument.name.unraw().to_string());
    let schema = method_schema(&service_ident(&declared.ident), &Names::of(declared, method));
    quote! {
        ::speedysvc::__private::contract::MethodSpec {
            name: #name,
            signature: #signature,
            docs: #docs,
            idempotent: #idempotent,
            runs: ::speedysvc::__private::contract::Runs::#runs,
            codec: ::speedysvc::__private::ids::Codec::#codec,
            arguments: &[#(#keys),*],
            defaults: &[#(#defaults),*],
            schema: #schema,
        }
    }
}

/// What an argument is when a caller leaves it out, as a function that gives it in JSON.
fn default(argument: &Argument) -> TokenStream {
    let Some(value) = &argument.default else { return quote!(::core::option::Option::None) };
    let base64 = base64();
    let json = match &argument.kind {
        kind if kind.is_byte_string() => {
            let bytes = quote!(::core::convert::AsRef::<[u8]>::as_ref(&#value));
            quote!(::speedysvc::__private::json::value(&#base64(#bytes.to_vec())))
        }
        Kind::Str => quote! {
            let value: &'static ::core::primitive::str = #value;
            ::speedysvc::__private::json::value(value)
        },
        Kind::View(ty) | Kind::Shared(ty) | Kind::Owned(ty) => quote! {
            let value: #ty = #value;
            ::speedysvc::__private::json::value(&value)
        },
        Kind::Bytes => unreachable!("a byte string"),
    };
    quote! {{
        fn default() -> ::speedysvc::__private::serde_json::Value {
            #json
        }
        ::core::option::Option::Some(default)
    }}
}

fn method_schema(service: &Ident, names: &Names<'_>) -> TokenStream {
    let arguments = names.arguments().map(|(place, argument)| schema(&names.json(place, &argument.kind)));
    let result = schema(&if names.is_byte_string() { base64() } else { names.ok() });
    let error = match names.error().as_ref().map(schema) {
        Some(error) => quote!(::core::option::Option::Some(#error)),
        None => quote!(::core::option::Option::None),
    };
    let generics = names.generics();
    quote! {{
        fn typed #generics(
            generator: &mut ::speedysvc::__private::schemars::SchemaGenerator,
        ) -> ::speedysvc::__private::contract::MethodSchema {
            ::speedysvc::__private::contract::MethodSchema {
                arguments: ::std::vec![#(#arguments),*],
                result: #result,
                error: #error,
            }
        }
        typed::<#service>
    }}
}

fn schema(ty: &TokenStream) -> TokenStream {
    quote!(generator.subschema_for::<#ty>())
}
