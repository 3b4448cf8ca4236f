//! A plugin that panics where it is told to, and looks at what it shares with the program.

mod analysis;
mod cell;
mod rule;
mod task;

// Linked, so that this library holds components that the program has too.
use synfire_essentials as _;

synfire::export_plugin!();
