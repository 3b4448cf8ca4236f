//! Tasks.

mod ring;
mod ring_battery;
mod rule_reversal;

pub use ring::*;
pub use ring_battery::RingBattery;
pub use rule_reversal::RuleReversal;
