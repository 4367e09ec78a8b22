//! What an argument or a result is, decided by how its type is written.

use proc_macro2::Ident;
use syn::{
    Error, Expr, GenericArgument, Lifetime, PathArguments, PathSegment, Result, ReturnType, Type, TypeReference,
};

use crate::lent::Lent;
use crate::refused;

pub struct Argument {
    pub name: Ident,
    pub kind: Kind,
    /// Of what is lent from it.
    pub lifetime: Option<Lifetime>,
    /// What it is when a caller leaves it out.
    pub default: Option<Expr>,
}

/// The five ways to take an argument.
pub enum Kind {
    /// `&str`: a view.
    Str,
    /// `&[u8]`: a view.
    Bytes,
    /// `&Archived<T>`: a view.
    View(Type),
    /// `&T`: a value made for the call.
    Shared(Type),
    /// `T`: a value made for the call.
    Owned(Type),
}

/// A result: `()` is no type at all.
pub struct Output {
    /// What the caller gets.
    pub ok: Option<Type>,
    pub error: Option<Type>,
    /// Where the handler does not give that, but lends it.
    pub lent: Option<Lent>,
}

impl Kind {
    pub fn of(ty: &Type) -> Result<Self> {
        match peel(ty) {
            Type::Reference(reference) => Self::of_reference(reference),
            owned if generic_of(owned, "Archived").is_some() => {
                Err(Error::new_spanned(owned, "an archived view is taken by reference: `&Archived<T>`"))
            }
            owned => checked(owned).map(Self::Owned),
        }
    }

    fn of_reference(reference: &TypeReference) -> Result<Self> {
        if reference.mutability.is_some() {
            let message = "the caller would not see a change: take the value by `&`, and give the new one back";
            return Err(Error::new_spanned(reference, message));
        }
        match peel(&reference.elem) {
            Type::Path(path) if path.path.is_ident("str") => Ok(Self::Str),
            Type::Slice(slice) if is_u8(&slice.elem) => Ok(Self::Bytes),
            Type::Slice(slice) => {
                let message = "of slices, only &[u8] is taken: use `&Archived<Vec<T>>` for a view, or `&Vec<T>`";
                Err(Error::new_spanned(slice, message))
            }
            target => match generic_of(target, "Archived") {
                Some(Some(archived)) => checked(archived).map(Self::View),
                Some(None) => Err(Error::new_spanned(target, "write the type that is archived: `&Archived<T>`")),
                None => checked(target).map(Self::Shared),
            },
        }
    }

    pub fn is_byte_string(&self) -> bool {
        match self {
            Self::Str => false,
            Self::Bytes => true,
            Self::View(ty) | Self::Shared(ty) | Self::Owned(ty) => is_byte_vector(ty),
        }
    }

    /// The type of the user's that must be able to travel.
    pub fn value(&self) -> Option<&Type> {
        match self {
            Self::Str | Self::Bytes => None,
            Self::View(ty) | Self::Shared(ty) | Self::Owned(ty) => Some(ty).filter(|ty| !is_byte_vector(ty)),
        }
    }
}

impl Output {
    pub fn of(output: &ReturnType) -> Result<Self> {
        let ReturnType::Type(_, ty) = output else {
            return Ok(Self { ok: None, error: None, lent: None });
        };
        let Some(arguments) = last_segment(peel(ty)).filter(|last| last.ident == "Result").map(types_in) else {
            return Self::of_both(ty, None);
        };
        match arguments[..] {
            [ok, error] => Self::of_both(ok, Some(in_result(error)?)),
            _ => {
                let message = "write both types, `Result<T, E>`: the caller gets the error with its type";
                Err(Error::new_spanned(ty, message))
            }
        }
    }

    fn of_both(ok: &Type, error: Option<Type>) -> Result<Self> {
        let (ok, lent) = match peel(ok) {
            Type::Tuple(tuple) if tuple.elems.is_empty() => (None, None),
            Type::Reference(reference) => {
                let (lent, owned) = Lent::of(reference)?;
                (Some(owned), Some(lent))
            }
            other => (Some(in_result(other)?), None),
        };
        Ok(Self { ok, error, lent })
    }
}

/// The lifetime of an argument that is a reference.
pub fn lifetime_of(ty: &Type) -> Option<Lifetime> {
    match peel(ty) {
        Type::Reference(reference) => reference.lifetime.clone().filter(|lifetime| lifetime.ident != "_"),
        _ => None,
    }
}

/// A type without the brackets that macros and people put around it.
pub fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        other => other,
    }
}

fn checked(ty: &Type) -> Result<Type> {
    refused::in_method(ty).map_or_else(|| Ok(ty.clone()), Err)
}

fn in_result(ty: &Type) -> Result<Type> {
    refused::in_result(ty).map_or_else(|| Ok(ty.clone()), Err)
}

pub fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// `T` of `Name<T>`, wherever `Name` is imported from; `Some(None)` when it has no one type.
pub fn generic_of<'a>(ty: &'a Type, name: &str) -> Option<Option<&'a Type>> {
    let last = last_segment(ty).filter(|last| last.ident == name)?;
    match types_in(last)[..] {
        [one] => Some(Some(one)),
        _ => Some(None),
    }
}

fn types_in(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(list) = &segment.arguments else {
        return Vec::new();
    };
    let types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

pub fn is_u8(ty: &Type) -> bool {
    matches!(peel(ty), Type::Path(path) if path.path.is_ident("u8"))
}

pub fn is_byte_vector(ty: &Type) -> bool {
    matches!(generic_of(peel(ty), "Vec"), Some(Some(element)) if is_u8(element))
}
