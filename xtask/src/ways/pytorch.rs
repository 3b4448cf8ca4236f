//! A PyTorch that is installed where `python3` finds it.

use std::path::{Path, PathBuf};

use super::{Search, link};
use crate::libtorch::Libtorch;
use crate::process;
use crate::python::python;

// Importing it, rather than looking for its files, proves that it works.
const SCRIPT: &str = "\
import os, torch
print(os.path.dirname(torch.__file__))
print(torch._C._GLIBCXX_USE_CXX11_ABI)
";

/// Link the installed PyTorch's libtorch, when it fits.
///
/// # Errors
/// When there is none, or it is another version, another flavour or not whole.
pub fn link_installed(search: &Search<'_>) -> Result<PathBuf, String> {
    let answer = process::read(python().args(["-c", SCRIPT]))?;
    let folder = folder_in(&answer)?;
    let libtorch = Libtorch::inspect(Path::new(folder), search.platform, search.wanted)?;
    link(search, &libtorch, "the installed PyTorch")
}

fn folder_in(answer: &str) -> Result<&str, String> {
    match answer.lines().collect::<Vec<_>>()[..] {
        [.., folder, "True"] => Ok(folder),
        [.., _, "False"] => Err("it was compiled for the old C++ library interface".to_owned()),
        _ => Err(format!("it answered `{}`", answer.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_last_line_but_one() {
        assert_eq!(folder_in("a warning\n/site-packages/torch\nTrue\n"), Ok("/site-packages/torch"));
        assert!(folder_in("/site-packages/torch\nFalse\n").unwrap_err().contains("old C++"));
        assert_eq!(folder_in("?\n").unwrap_err(), "it answered `?`");
    }
}
