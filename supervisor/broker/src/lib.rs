//! Makes shared-memory links and hands them to clients and workers
