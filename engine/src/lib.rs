//! The worker loop of speedysvc
