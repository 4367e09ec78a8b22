//! `#[speedysvc::service] impl Echo for MyEcho`: makes `MyEcho` what a worker hosts.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemImpl, ItemTrait, Result, parse_quote};

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
    if let Some(last) = path.segments.last().filter(|last| !last.arguments.is_none()) {
        return Err(Error::new_spanned(&last.arguments, "a service has no generics"));
    }
    let host = &item.self_ty;
    let (generics, _, bounds) = item.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::speedysvc::__private::service::Service for #host #bounds {
            fn contract(&self) -> &'static ::speedysvc::__private::contract::Contract {
                <Self as #path>::__speedysvc_contract()
            }

            fn spec(&self) -> &'static ::speedysvc::__private::contract::ServiceSpec {
                <Self as #path>::__speedysvc_spec()
            }

            fn call(
                &self,
                method: ::speedysvc::__private::ids::MethodIndex,
                call: ::speedysvc::__private::service::Call<'_>,
            ) -> ::core::result::Result<(), ::speedysvc::__private::status::Failure> {
                <Self as #path>::__speedysvc_dispatch(self, method, call)
            }

            fn begin(
                self: ::std::sync::Arc<Self>,
                method: ::speedysvc::__private::ids::MethodIndex,
                call: ::speedysvc::__private::service::OwnedCall,
            ) -> ::speedysvc::__private::service::Begun {
                <Self as #path>::__speedysvc_begin(self, method, call)
            }
        }
    })
}

/// The trait with hidden methods, by which its implementations are hosted however the trait was imported.
pub fn with_entrances(mut item: ItemTrait) -> ItemTrait {
    let service = service_ident(&item.ident);
    item.items.push(parse_quote! {
        #[doc(hidden)]
        fn __speedysvc_contract() -> &'static ::speedysvc::__private::contract::Contract
        where
            Self: ::core::marker::Sized,
        {
            #service::contract()
        }
    });
    item.items.push(parse_quote! {
        #[doc(hidden)]
        fn __speedysvc_spec() -> &'static ::speedysvc::__private::contract::ServiceSpec
        where
            Self: ::core::marker::Sized,
        {
            &#service::SPEC
        }
    });
    item.items.push(parse_quote! {
        #[doc(hidden)]
        fn __speedysvc_dispatch(
            &self,
            method: ::speedysvc::__private::ids::MethodIndex,
            call: ::speedysvc::__private::service::Call<'_>,
        ) -> ::core::result::Result<(), ::speedysvc::__private::status::Failure>
        where
            Self: ::core::marker::Sized,
        {
            #service::dispatch(self, method, call)
        }
    });
    item.items.push(parse_quote! {
        #[doc(hidden)]
        fn __speedysvc_begin(
            self: ::std::sync::Arc<Self>,
            method: ::speedysvc::__private::ids::MethodIndex,
            call: ::speedysvc::__private::service::OwnedCall,
        ) -> ::speedysvc::__private::service::Begun
        where
            Self: ::core::marker::Sized + 'static,
        {
            #service::begin(self, method, call)
        }
    });
    item
}
