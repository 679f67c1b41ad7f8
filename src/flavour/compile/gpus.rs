//! What the GPUs of this machine ask of programs that are built for them. In: GPUs, none where programs are
//! built for elsewhere. Out: a toolkit that their driver can follow, and what kernels are compiled for.

use crate::flavour::toolchain::Cuda;
use crate::machine::Gpu;
use crate::machine::gpu::Version;

/// A toolkit that is here, and whose programs the driver runs.
pub(super) fn toolkit(asked: &str, gpus: &[Gpu]) -> Result<Cuda, String> {
    let advice = "set CUDA_HOME, or give the flavour a `binary`";
    let cuda = Cuda::find(asked).map_err(|why| format!("{why}: {advice}"))?;
    match too_old(cuda.version, gpus) {
        Some(why) => Err(format!(
            "the toolkit in {} is of {why}",
            cuda.root.display()
        )),
        None => Ok(cuda),
    }
}

/// Of the weakest GPU.
pub(super) fn capability(gpus: &[Gpu]) -> Option<Version> {
    gpus.iter().filter_map(|gpu| gpu.compute_capability).min()
}

/// Why a driver that is here runs no program of a toolkit of this version, whose libraries ask for a driver as new
/// as they are. `CUDA 13.0, and the driver …`.
pub fn too_old<'a>(
    version: Option<Version>,
    gpus: impl IntoIterator<Item = &'a Gpu>,
) -> Option<String> {
    let (version, gpu) = (version?, gpus.into_iter().next()?);
    let newest = gpu.cuda_version.filter(|newest| *newest < version)?;
    Some(format!(
        "CUDA {version}, and the driver {} runs CUDA up to {newest}: update the driver, or build with an \
         older toolkit (`cuda = \"{newest}\"` in a flavour)",
        gpu.driver
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn gpu(cuda: &str, capability: &str) -> Gpu {
        Gpu {
            driver: "550.1".into(),
            cuda_version: Some(cuda.parse().unwrap()),
            compute_capability: Some(capability.parse().unwrap()),
            ..Gpu::default()
        }
    }

    #[test]
    fn a_toolkit_is_taken_only_where_the_driver_is_as_new() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("bin")).unwrap();
        let nvcc = root.join("bin/nvcc");
        fs::write(&nvcc, "#!/bin/sh\necho Cuda tools, release 12.9, V12.9.1\n").unwrap();
        fs::set_permissions(&nvcc, fs::Permissions::from_mode(0o755)).unwrap();
        let asked = root.to_str().unwrap();
        for gpus in [vec![], vec![gpu("12.9", "9.0")], vec![gpu("13.0", "7.0")]] {
            let found = toolkit(asked, &gpus).unwrap();
            assert_eq!(found.version, Some(Version::new(12, 9)));
        }
        let refused = toolkit(asked, &[gpu("12.8", "9.0")]).unwrap_err();
        assert_eq!(
            refused.replace(asked, "ROOT"),
            "the toolkit in ROOT is of CUDA 12.9, and the driver 550.1 runs CUDA up to 12.8: update the \
             driver, or build with an older toolkit (`cuda = \"12.8\"` in a flavour)"
        );
    }

    #[test]
    fn kernels_are_compiled_for_the_weakest_gpu() {
        let both = [gpu("13.0", "9.0"), gpu("13.0", "8.6"), Gpu::default()];
        assert_eq!(capability(&both), Some(Version::new(8, 6)));
        assert_eq!(capability(&[]), None);
    }
}
