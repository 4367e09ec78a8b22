//! Where calls come from. Both sources hand them to the same [`crate::dispatch`].

pub mod first_bytes;
pub mod http;
pub(crate) mod shm;
pub(crate) mod tcp;
