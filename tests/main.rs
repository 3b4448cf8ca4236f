//! Tests of the whole program: everything registered, everything combined, and the program itself as a child process.

mod combinations;
mod command_line;
mod ensembles;
mod folders;
mod papers;
mod plugins;
mod program;
mod recipe;
mod registry;
mod resume;
mod wrong_input;

// What the program links is what the tests see.
use synfire_cli as _;
