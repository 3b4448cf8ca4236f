//! Components that more than one line of research uses.

pub mod analyses;
pub mod eigen;
pub mod formats;
pub mod principal_components;
