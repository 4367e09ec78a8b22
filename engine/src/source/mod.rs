//! Where calls come from. Both sources hand them to the same [`crate::dispatch`].

pub(crate) mod shm;
pub(crate) mod tcp;
