//! File formats that hold tensors by name, whatever program wrote them.

mod npz;
mod renaming;
mod safetensors;
mod state_dict;

pub use npz::Npz;
pub use renaming::Renaming;
pub use safetensors::Safetensors;
pub use state_dict::StateDict;
