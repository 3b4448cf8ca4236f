//! Which files of which wheels make a libtorch: pure functions over names and metadata.

use std::path::{Path, PathBuf};

use crate::libtorch::{Flavour, Platform};

/// Of all members of a torch wheel, those that make a libtorch, each with its path below the installation.
///
/// A CPU libtorch is cut out of a CUDA wheel by leaving out the CUDA libraries and `libtorch.so`, an empty shell that would
/// ask for them; see [`shell`].
pub fn torch_members(members: &[String], platform: Platform, flavour: Flavour) -> Vec<(String, PathBuf)> {
    let cut = flavour == Flavour::Cpu && has_cuda(members);
    members
        .iter()
        .filter(|member| match member.split_once('/') {
            Some(("torch", rest)) if rest.starts_with("include/") => true,
            Some(("torch", rest)) => match rest.rsplit_once('/') {
                Some(("lib", file)) => is_library(file, platform) && !of_python(file) && !(cut && of_cuda(file)),
                Some((".dylibs", _)) => true,
                _ => false,
            },
            // Libraries that the wheel was repaired with, found by a relative run path.
            Some(("torch.libs", _)) => true,
            _ => false,
        })
        .map(|member| (member.clone(), PathBuf::from(member)))
        .collect()
}

/// The linker script that stands for the shell library `libtorch.so` where a CUDA wheel was cut down to its CPU part.
pub fn shell(members: &[String], platform: Platform, flavour: Flavour) -> Option<&'static str> {
    (platform.system == "linux" && flavour == Flavour::Cpu && has_cuda(members)).then_some("INPUT(libtorch_cpu.so)\n")
}

/// Of all members of an `nvidia-*` wheel, the shared libraries that torch's run path leads to.
///
/// Even on the CPU the wheel's `libtorch_cpu.so` needs the CUDA runtime and the profiling interface, and nothing else.
pub fn nvidia_members(members: &[String], platform: Platform, flavour: Flavour) -> Vec<(String, PathBuf)> {
    members
        .iter()
        .filter(|member| {
            let file = file_name(member);
            let needed =
                flavour == Flavour::Cuda || file.starts_with("libcudart.so") || file.starts_with("libcupti.so");
            member.starts_with("nvidia/") && is_library(file, platform) && needed
        })
        .map(|member| (member.clone(), PathBuf::from(member)))
        .collect()
}

/// Of all members of an official archive, those that make a libtorch: the folder `libtorch` becomes `torch`.
pub fn archive_members(members: &[String]) -> Vec<(String, PathBuf)> {
    members
        .iter()
        .filter_map(|member| {
            let rest = member.strip_prefix("libtorch/")?;
            let wanted = rest.starts_with("include/") || rest == "build-version";
            let library = rest.starts_with("lib/") && !rest.ends_with(".a") && !of_python(file_name(rest));
            (wanted || library).then(|| (member.clone(), Path::new("torch").join(rest)))
        })
        .collect()
}

/// The CUDA packages that a torch wheel asks for in its METADATA, as requirements for pip: all for a CUDA libtorch, for a CPU
/// one the runtime and the profiling interface. Empty for a wheel that was built without CUDA.
pub fn cuda_requirements(metadata: &str, platform: Platform, flavour: Flavour) -> Vec<String> {
    if platform.system != "linux" {
        return Vec::new();
    }
    metadata
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("Requires-Dist:"))
        .filter_map(|line| {
            let (requirement, marker) = line.split_once(';').unwrap_or((line, ""));
            let requirement: String = requirement.chars().filter(|letter| !letter.is_whitespace()).collect();
            if marker.contains("extra") {
                return None;
            }
            match (flavour, requirement.strip_prefix("cuda-toolkit")) {
                (Flavour::Cuda, Some(_)) => Some(requirement),
                (Flavour::Cpu, Some(rest)) => {
                    let version = rest.rsplit_once(']').map_or(rest, |(_, version)| version);
                    Some(format!("cuda-toolkit[cudart,cupti]{version}"))
                }
                (Flavour::Cuda, None) if requirement.starts_with("nvidia-") => Some(requirement),
                _ => None,
            }
        })
        .collect()
}

/// The address of the official archive for a platform.
///
/// # Errors
/// When none is published for it.
pub fn archive_address(platform: Platform, flavour: Flavour, version: &str) -> Result<String, String> {
    let file = match (platform.system, platform.processor, flavour) {
        ("linux", "x86_64", Flavour::Cpu) => format!("cpu/libtorch-shared-with-deps-{version}%2Bcpu.zip"),
        ("linux", "x86_64", Flavour::Cuda) => format!("cu130/libtorch-shared-with-deps-{version}%2Bcu130.zip"),
        ("macos", "aarch64", Flavour::Cpu) => format!("cpu/libtorch-macos-arm64-{version}.zip"),
        (system, processor, flavour) => return Err(format!("none is published for {system} {processor} {flavour}")),
    };
    Ok(format!("https://download.pytorch.org/libtorch/{file}"))
}

fn file_name(member: &str) -> &str {
    member.rsplit_once('/').map_or(member, |(_, file)| file)
}

fn is_library(file: &str, platform: Platform) -> bool {
    if platform.system == "macos" { file.ends_with(".dylib") } else { file.ends_with(".so") || file.contains(".so.") }
}

/// Whether a library serves PyTorch's Python side alone.
fn of_python(file: &str) -> bool {
    file.starts_with("libtorch_python")
}

/// Whether a library of a CUDA wheel is of no use without CUDA.
fn of_cuda(file: &str) -> bool {
    file == "libtorch.so"
        || ["cuda", "nvrtc", "nvshmem", "libshm", "libtorch_global_deps"].iter().any(|part| file.contains(part))
}

fn has_cuda(members: &[String]) -> bool {
    members.iter().any(|member| member == "torch/lib/libtorch_cuda.so")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: Platform = Platform { system: "linux", processor: "x86_64" };
    const MAC: Platform = Platform { system: "macos", processor: "aarch64" };

    // As listed in the wheels of torch 2.13.0.
    const METADATA: &str = "Metadata-Version: 2.4\nName: torch\nVersion: 2.13.0\nRequires-Dist: filelock\n\
        Requires-Dist: cuda-toolkit[cublas,cudart,cupti]==13.0.3; platform_system == \"Linux\"\n\
        Requires-Dist: cuda-bindings<14,>=13.0.3; platform_system == \"Linux\"\n\
        Requires-Dist: nvidia-cudnn-cu13==9.20.0.48; platform_system == \"Linux\"\n\
        Requires-Dist: triton==3.7.1; platform_system == \"Linux\"\n\
        Requires-Dist: nvidia-extra==1; extra == \"more\"\n\nRequires-Dist: nvidia-in-the-text==1\n";

    fn names(list: &str) -> Vec<String> {
        list.split_whitespace().map(str::to_owned).collect()
    }

    fn taken(members: &[(String, PathBuf)]) -> Vec<&str> {
        members.iter().map(|(_, path)| path.to_str().unwrap()).collect()
    }

    fn cuda_wheel() -> Vec<String> {
        names(
            "torch/__init__.py torch/include/ATen/cuda/a.h torch/lib/libc10.so torch/lib/libc10_cuda.so \
             torch/lib/libcaffe2_nvrtc.so torch/lib/libgomp.so.1 torch/lib/libshm.so torch/lib/libtorch.so \
             torch/lib/libtorch_cpu.so torch/lib/libtorch_cuda.so torch/lib/libtorch_python.so \
             torch/lib/libshm/alloc_info.h torch/bin/protoc torch-2.13.0.dist-info/METADATA torch.libs/libx-1.so.1",
        )
    }

    #[test]
    fn a_cuda_wheel_is_cut_down_to_its_cpu_part() {
        let members = torch_members(&cuda_wheel(), LINUX, Flavour::Cpu);
        assert_eq!(
            taken(&members),
            names(
                "torch/include/ATen/cuda/a.h torch/lib/libc10.so torch/lib/libgomp.so.1 torch/lib/libtorch_cpu.so torch.libs/libx-1.so.1"
            )
        );
        assert_eq!(shell(&cuda_wheel(), LINUX, Flavour::Cpu), Some("INPUT(libtorch_cpu.so)\n"));
    }

    #[test]
    fn a_cuda_libtorch_takes_all_but_python() {
        let members = torch_members(&cuda_wheel(), LINUX, Flavour::Cuda);
        let taken = taken(&members);
        assert!(taken.contains(&"torch/lib/libtorch_cuda.so") && taken.contains(&"torch/lib/libtorch.so"));
        assert!(!taken.contains(&"torch/lib/libtorch_python.so") && !taken.contains(&"torch/__init__.py"));
        assert_eq!(shell(&cuda_wheel(), LINUX, Flavour::Cuda), None);
    }

    #[test]
    fn a_wheel_without_cuda_keeps_its_own_shell() {
        let wheel = names("torch/lib/libtorch.so torch/lib/libtorch_cpu.so torch/lib/libc10.so");
        assert_eq!(taken(&torch_members(&wheel, LINUX, Flavour::Cpu)), wheel);
        assert_eq!(shell(&wheel, LINUX, Flavour::Cpu), None);
        let wheel =
            names("torch/lib/libtorch.dylib torch/lib/libtorch_cpu.dylib torch/lib/libomp.dylib torch/.dylibs/x.dylib");
        assert_eq!(taken(&torch_members(&wheel, MAC, Flavour::Cpu)), wheel);
    }

    #[test]
    fn the_nvidia_wheels_give_their_libraries_only() {
        let wheel = names(
            "nvidia/cu13/lib/libcudart.so.13 nvidia/cu13/lib/libnvperf_host.so nvidia/cu13/lib/libcudart_static.a \
             nvidia/cu13/include/cuda.h nvidia_cuda_runtime-13.0.96.dist-info/METADATA",
        );
        assert_eq!(taken(&nvidia_members(&wheel, LINUX, Flavour::Cpu)), ["nvidia/cu13/lib/libcudart.so.13"]);
        assert_eq!(
            taken(&nvidia_members(&wheel, LINUX, Flavour::Cuda)),
            ["nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libnvperf_host.so"]
        );
    }

    #[test]
    fn requirements_are_read_from_the_header_of_the_metadata() {
        assert_eq!(cuda_requirements(METADATA, LINUX, Flavour::Cpu), ["cuda-toolkit[cudart,cupti]==13.0.3"]);
        assert_eq!(
            cuda_requirements(METADATA, LINUX, Flavour::Cuda),
            ["cuda-toolkit[cublas,cudart,cupti]==13.0.3", "nvidia-cudnn-cu13==9.20.0.48"]
        );
        assert!(cuda_requirements(METADATA, MAC, Flavour::Cpu).is_empty());
        assert!(cuda_requirements("Requires-Dist: filelock\n", LINUX, Flavour::Cpu).is_empty());
    }

    #[test]
    fn the_archive_is_renamed_and_stripped() {
        let archive = names(
            "libtorch/lib/libc10.so libtorch/lib/libx.a libtorch/include/a.h libtorch/share/x libtorch/build-version",
        );
        assert_eq!(
            taken(&archive_members(&archive)),
            ["torch/lib/libc10.so", "torch/include/a.h", "torch/build-version"]
        );
        assert!(archive_address(LINUX, Flavour::Cpu, "2.13.0").unwrap().ends_with("-2.13.0%2Bcpu.zip"));
        let refused = archive_address(MAC, Flavour::Cuda, "2.13.0").unwrap_err();
        assert_eq!(refused, "none is published for macos aarch64 cuda");
    }
}
