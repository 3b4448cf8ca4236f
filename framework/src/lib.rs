//! synfire: train and take apart recurrent neural networks on cognitive and memory tasks.

pub mod error;
pub mod figure;
pub mod optimizer;
pub mod rng;
pub mod storage;
pub mod table;
pub mod tensors;
pub mod torch_file;

pub use error::{Error, Problem, Problems, Result};
pub use rng::Stream;
pub use tensors::Tensors;
pub use {inventory, schemars, serde, serde_json, tch, typetag};
