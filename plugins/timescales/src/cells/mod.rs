//! Cells whose units count time in symbols of the task.

mod continuous_rnn;

pub(crate) use continuous_rnn::NAME as CONTINUOUS_RNN;
pub use continuous_rnn::{ContinuousRnn, SymbolTimeConstants};
