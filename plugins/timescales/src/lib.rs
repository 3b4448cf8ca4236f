//! placeholder docs
