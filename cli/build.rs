//! Makes the linker keep libtorch's CUDA library, and tells the program where libtorch lay when it was built.
//!
//! No symbol of ours names it: it registers itself when it is loaded. A linker that keeps only what is named would drop it, and a
//! libtorch with CUDA would find no GPU.

use std::env;
use std::path::Path;

fn main() {
    // Set by torch-sys, which is a direct dependency for this alone: built for another libtorch, it makes this run again.
    const LIBRARIES: &str = "DEP_TCH_LIBTORCH_LIB";
    println!("cargo::rerun-if-env-changed={LIBRARIES}");
    let Some(libraries) = env::var_os(LIBRARIES) else { return };
    println!("cargo::rustc-env=SYNFIRE_LIBTORCH_LIBRARIES={}", Path::new(&libraries).display());
    if Path::new(&libraries).join("libtorch_cuda.so").is_file() {
        println!("cargo::rustc-link-arg=-Wl,--push-state,--no-as-needed,-ltorch_cuda,--pop-state");
    }
}
