//! Whole-system tests of speedysvc
