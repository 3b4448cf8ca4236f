//! What the papers claim, as far as it can be checked in minutes.

mod learning_rules;
mod oracles;
mod temporal_skip;
mod timescales;
