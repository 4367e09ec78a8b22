//! The smallest speedysvc service and client
