//! Where the libtorch in use lies.

use std::path::{Path, PathBuf};

/// The folder from which the system loaded libtorch; where it does not say so, the one that the program was built with.
pub fn loaded_libtorch() -> Option<PathBuf> {
    mapped().or_else(|| option_env!("SYNFIRE_LIBTORCH_LIBRARIES").map(PathBuf::from).filter(|folder| folder.is_dir()))
}

/// What Linux says.
fn mapped() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..])).find(|path| {
        let file = path.rsplit('/').next().unwrap_or_default();
        file.starts_with("libtorch_cpu") || file == "libtorch.so"
    })?;
    Some(Path::new(path).parent()?.to_path_buf())
}
