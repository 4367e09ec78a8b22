//! The service and data macros of speedysvc
