//! One file for each command: its arguments, its examples, and what it does.

pub mod analyze;
pub mod bench;
pub mod check;
pub mod cite;
pub mod completions;
pub mod describe;
pub mod doctor;
pub mod evaluate;
pub mod export;
pub mod import;
pub mod init;
pub mod list;
pub mod plugin;
pub mod report;
pub mod resume;
pub mod run;
pub mod runs;
pub mod schema;
