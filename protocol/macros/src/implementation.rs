//! `#[speedysvc::service] impl Echo for MyEcho`: makes `MyEcho` what a worker hosts.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemImpl, Path, Result};

use crate::spec::service_ident;

pub fn generate(settings: &TokenStream, item: &ItemImpl) -> Result<TokenStream> {
    if !settings.is_empty() {
        return Err(Error::new_spanned(settings, "`name` and `version` belong to the trait: nothing stands here"));
    }
    item.modifiers.require_empty()?;
    let Some((path, _)) = &item.trait_ else {
        let message = "put the methods into a trait with #[speedysvc::service], and this on `impl Trait for Type`: \
                       clients are made from the trait";
        return Err(Error::new_spanned(&item.self_ty, message));
    };
    let (service, host) = (service_path(path)?, &item.self_ty);
    let (generics, _, bounds) = item.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::speedysvc::__private::service::Service for #host #bounds {
            fn contract(&self) -> &'static ::speedysvc::__private::contract::Contract {
                #service::contract()
            }

            fn call(
                &self,
                method: ::speedysvc::__private::ids::MethodIndex,
                call: ::speedysvc::__private::service::Call<'_>,
            ) -> ::core::result::Result<(), ::speedysvc::__private::status::Failure> {
                #service::dispatch(self, method, call)
            }
        }
    })
}

/// `api::EchoService` for `api::Echo`.
fn service_path(path: &Path) -> Result<Path> {
    let mut path = path.clone();
    let last = path.segments.last_mut().expect("a path has a segment");
    if !last.arguments.is_none() {
        return Err(Error::new_spanned(&last.arguments, "a service has no generics"));
    }
    last.ident = service_ident(&last.ident);
    Ok(path)
}
