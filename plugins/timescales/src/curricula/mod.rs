//! Curricula that raise the level of difficulty each time the present one is solved.

mod advance;
mod cumulative;
mod single_level;
mod sliding_window;

pub(crate) use advance::exceeds;
pub use cumulative::Cumulative;
pub use single_level::SingleLevel;
pub use sliding_window::{HeadBinding, SlidingWindow};
