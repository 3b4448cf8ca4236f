//! What the papers claim, as far as it can be checked in minutes.

mod oracles;
mod timescales;
