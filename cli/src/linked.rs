//! The one list of linked plugin crates. A crate that is not mentioned in code registers nothing.

use synfire_essentials as _;
use synfire_learning_rules as _;
use synfire_temporal_skip as _;
use synfire_timescales as _;
