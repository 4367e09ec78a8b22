//! Starts, watches, restarts and drains speedysvc workers
