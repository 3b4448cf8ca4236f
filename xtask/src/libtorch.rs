//! Judging a libtorch folder by its files: which version it is, for which device, and whether it is whole.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The version that tch 0.26 needs; torch-sys refuses any other.
pub const VERSION: &str = "2.13.0";

/// What the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever is there; when nothing is, the build without CUDA.
    Any,
    /// The build without CUDA.
    Cpu,
    /// The build with CUDA.
    Cuda,
}

/// What a libtorch can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// The processor only (on a Mac also its own GPU).
    Cpu,
    /// NVIDIA GPUs too.
    Cuda,
}

impl Wanted {
    /// Whether a libtorch of this flavour satisfies the wish.
    pub fn accepts(self, flavour: Flavour) -> bool {
        match self {
            Self::Any => true,
            Self::Cpu => flavour == Flavour::Cpu,
            Self::Cuda => flavour == Flavour::Cuda,
        }
    }

    /// The flavour to fetch when nothing is there.
    pub fn flavour(self) -> Flavour {
        match self {
            Self::Any | Self::Cpu => Flavour::Cpu,
            Self::Cuda => Flavour::Cuda,
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

/// The operating system and processor we run on, as far as libtorch's file names differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux` or `macos`.
    pub system: &'static str,
    /// `x86_64` or `aarch64`.
    pub processor: &'static str,
}

impl Platform {
    /// The platform this program was compiled for.
    ///
    /// # Errors
    /// When the run paths of `.cargo/config.toml` do not serve it.
    pub fn here() -> Result<Self, String> {
        let platform = Self { system: env::consts::OS, processor: env::consts::ARCH };
        match platform.system {
            "linux" | "macos" => Ok(platform),
            other => Err(format!("synfire is built on Linux and macOS, not on {other}; on Windows use WSL 2")),
        }
    }

    /// The file name of a shared library on this platform.
    pub fn library(self, name: &str) -> String {
        if self.system == "macos" { format!("lib{name}.dylib") } else { format!("lib{name}.so") }
    }
}

/// A libtorch folder that was looked at and found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Libtorch {
    /// The folder that holds `include` and `lib`.
    pub folder: PathBuf,
    /// What it can run on.
    pub flavour: Flavour,
}

impl Libtorch {
    /// Look at a folder and accept it when it is whole, of the right version and as wanted.
    ///
    /// # Errors
    /// One sentence that says what is missing or wrong.
    pub fn inspect(folder: &Path, platform: Platform, wanted: Wanted) -> Result<Self, String> {
        if !folder.is_dir() {
            return Err(format!("{} is not a folder", folder.display()));
        }
        for library in ["torch", "torch_cpu", "c10"] {
            let file = folder.join("lib").join(platform.library(library));
            if !file.is_file() {
                return Err(format!("{} is missing", file.display()));
            }
        }
        let header = folder.join("include/torch/csrc/api/include/torch/torch.h");
        if !header.is_file() {
            return Err(format!("{} is missing", header.display()));
        }
        let version = version_of(folder).ok_or_else(|| format!("{} does not say its version", folder.display()))?;
        if release(&version) != VERSION && env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_none() {
            return Err(format!("{} holds libtorch {version}, needed is {VERSION}", folder.display()));
        }
        let cuda = folder.join("lib").join(platform.library("torch_cuda")).is_file();
        let flavour = if cuda { Flavour::Cuda } else { Flavour::Cpu };
        if !wanted.accepts(flavour) {
            return Err(format!("{} is a {flavour} build, wanted is {}", folder.display(), wanted.flavour()));
        }
        Ok(Self { folder: folder.to_path_buf(), flavour })
    }

    /// The libraries that must load for the program to start.
    pub fn libraries(&self, platform: Platform) -> Vec<PathBuf> {
        let mut names = vec!["torch_cpu"];
        if self.flavour == Flavour::Cuda {
            names.push("torch_cuda");
        }
        names.into_iter().map(|name| self.folder.join("lib").join(platform.library(name))).collect()
    }
}

/// The version without the part that names the build: `2.13.0+cu130` is `2.13.0`.
pub fn release(version: &str) -> &str {
    let version = version.trim();
    version.split_once('+').map_or(version, |(release, _)| release)
}

/// The version a libtorch folder declares: the archives have `build-version`, the wheels `version.py`, both have headers.
fn version_of(folder: &Path) -> Option<String> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let build = read("build-version").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    build
        .or_else(|| read("version.py").as_deref().and_then(version_in_python))
        .or_else(|| read("include/torch/headeronly/version.h").as_deref().and_then(version_in_header))
        .or_else(|| read("include/torch/csrc/api/include/torch/version.h").as_deref().and_then(version_in_header))
}

/// The value of `__version__` in PyTorch's `version.py`.
fn version_in_python(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("__version__"))?;
    let value = line.split_once('=')?.1.trim().trim_matches(['\'', '"']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// The three numbers that PyTorch's `version.h` defines.
fn version_in_header(text: &str) -> Option<String> {
    let number = |name: &str| {
        text.lines().find_map(|line| {
            let value = line.trim().strip_prefix("#define")?.trim_start().strip_prefix(name)?;
            value.trim().parse::<u32>().ok()
        })
    };
    let [major, minor, patch] = ["TORCH_VERSION_MAJOR", "TORCH_VERSION_MINOR", "TORCH_VERSION_PATCH"].map(number);
    Some(format!("{}.{}.{}", major?, minor?, patch?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: Platform = Platform { system: "linux", processor: "x86_64" };

    /// A folder with the files that `inspect` looks for, removed on drop.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let folder = env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            for (file, text) in files {
                let file = folder.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    const WHOLE: [(&str, &str); 5] = [
        ("lib/libtorch.so", ""),
        ("lib/libtorch_cpu.so", ""),
        ("lib/libc10.so", ""),
        ("include/torch/csrc/api/include/torch/torch.h", ""),
        ("build-version", "2.13.0+cpu\n"),
    ];

    #[test]
    fn versions_are_read_from_python_and_from_headers() {
        let python =
            "from typing import Optional\n__all__ = ['__version__']\n__version__ = '2.13.0+cu130'\ncuda = '13.0'\n";
        assert_eq!(version_in_python(python).as_deref(), Some("2.13.0+cu130"));
        assert_eq!(version_in_python("version = '1'"), None);
        let header = "#pragma once\n#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 13\n\
                      #define TORCH_VERSION_PATCH 0\n#define TORCH_VERSION \"2.13.0\"\n";
        assert_eq!(version_in_header(header).as_deref(), Some("2.13.0"));
        assert_eq!(version_in_header("#define TORCH_VERSION_MAJOR 2\n"), None);
        assert_eq!(release("2.13.0+cu130\n"), "2.13.0");
        assert_eq!(release("2.13.0"), "2.13.0");
    }

    #[test]
    fn a_whole_folder_is_accepted_as_what_it_is() {
        let folder = Folder::new("whole", &WHOLE);
        let found = Libtorch::inspect(&folder.0, LINUX, Wanted::Any).unwrap();
        assert_eq!(found.flavour, Flavour::Cpu);
        assert_eq!(found.libraries(LINUX), [folder.0.join("lib/libtorch_cpu.so")]);
        let refused = Libtorch::inspect(&folder.0, LINUX, Wanted::Cuda).unwrap_err();
        assert!(refused.ends_with("is a cpu build, wanted is cuda"), "{refused}");

        fs::write(folder.0.join("lib/libtorch_cuda.so"), "").unwrap();
        let found = Libtorch::inspect(&folder.0, LINUX, Wanted::Cuda).unwrap();
        assert_eq!(found.flavour, Flavour::Cuda);
        assert!(Libtorch::inspect(&folder.0, LINUX, Wanted::Cpu).is_err());
    }

    #[test]
    fn a_missing_file_and_another_version_are_named() {
        let folder = Folder::new("broken", &WHOLE);
        fs::write(folder.0.join("build-version"), "2.5.1+cpu").unwrap();
        let refused = Libtorch::inspect(&folder.0, LINUX, Wanted::Any).unwrap_err();
        assert!(refused.ends_with("holds libtorch 2.5.1+cpu, needed is 2.13.0"), "{refused}");
        fs::remove_file(folder.0.join("build-version")).unwrap();
        let refused = Libtorch::inspect(&folder.0, LINUX, Wanted::Any).unwrap_err();
        assert!(refused.ends_with("does not say its version"), "{refused}");
        fs::remove_file(folder.0.join("lib/libc10.so")).unwrap();
        let refused = Libtorch::inspect(&folder.0, LINUX, Wanted::Any).unwrap_err();
        assert!(refused.ends_with("libc10.so is missing"), "{refused}");
        let refused = Libtorch::inspect(Path::new("/nowhere"), LINUX, Wanted::Any).unwrap_err();
        assert_eq!(refused, "/nowhere is not a folder");
    }

    #[test]
    fn library_names_follow_the_platform() {
        assert_eq!(LINUX.library("c10"), "libc10.so");
        assert_eq!(Platform { system: "macos", processor: "aarch64" }.library("c10"), "libc10.dylib");
    }
}
