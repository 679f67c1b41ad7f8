//! Where a CUDA toolkit is, and what lies beside it. In: folders and the environment. Out: places. The
//! build script links with it and the harness looks before it builds, so this file is compiled into
//! both and knows the standard library alone.

use std::env;
use std::path::{Path, PathBuf};

/// Cargo's features for libraries of NVIDIA that no toolkit holds, and the name of each for the linker.
pub const COMPANIONS: [(&str, &str); 2] = [("cudnn", "libcudnn.so"), ("nccl", "libnccl.so")];

/// Variables that name the root of a toolkit.
pub const ROOT_VARIABLES: [&str; 3] = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"];

/// Where distributions keep libraries, and the linker looks without being told.
const SYSTEM: [&str; 3] = ["/usr/lib64", "/usr/lib", "/usr/local/lib"];

/// Roots of toolkits that may be there: named by the environment, above a compiler on `PATH`, the usual.
pub fn usual_roots() -> Vec<PathBuf> {
    let named = ROOT_VARIABLES.into_iter().filter_map(env::var_os);
    let in_path = folders_of("PATH").into_iter();
    let in_path = in_path.filter(|folder| folder.join("nvcc").is_file());
    let above = in_path.filter_map(|folder| folder.parent().map(Path::to_owned));
    named
        .map(PathBuf::from)
        .chain(above)
        .chain(["/usr/local/cuda".into()])
        .collect()
}

/// The compiler of a toolkit.
pub fn compiler(root: &Path) -> PathBuf {
    root.join("bin/nvcc")
}

/// The version in what a toolkit's compiler says of itself: `13.0` of `…, release 13.0, V13.0.88`.
pub fn release(said: &str) -> Option<&str> {
    let behind = said.split("release ").nth(1)?;
    let version = behind.split([',', ' ', '\n']).next()?;
    (!version.is_empty()).then_some(version)
}

/// A version as people write it, of what the compiler takes: `9.0` of `90`, `9.0` or `90a`.
pub fn capability(told: &str) -> Option<String> {
    let told = told
        .trim()
        .trim_end_matches(|c: char| c.is_ascii_lowercase());
    let digits: String = told.chars().filter(char::is_ascii_digit).collect();
    let (major, minor) = digits.split_at_checked(digits.len().checked_sub(1)?)?;
    let is_number = told.chars().all(|c| c.is_ascii_digit() || c == '.');
    (is_number && !major.is_empty()).then(|| format!("{major}.{minor}"))
}

/// Folders with the toolkit's own libraries.
pub fn library_folders(root: &Path) -> Vec<PathBuf> {
    let folders = ["lib64", "lib", "targets/x86_64-linux/lib"].map(|name| root.join(name));
    let has_one = |folder: &PathBuf| folder.join("libcudart.so").exists();
    folders.into_iter().filter(has_one).collect()
}

/// The features of [`COMPANIONS`] whose libraries are here, each with their folder: in the toolkit, beside
/// it as Python's wheels lay them out, on `LIBRARY_PATH`, or where distributions keep them.
pub fn companions(root: &Path) -> Vec<(&'static str, PathBuf)> {
    let found = COMPANIONS.into_iter().filter_map(|(feature, library)| {
        let beside = root.parent().map(|above| above.join(feature).join("lib"));
        let mut places = library_folders(root);
        places.extend(beside);
        places.extend(folders_of("LIBRARY_PATH"));
        places.extend(SYSTEM.map(PathBuf::from));
        places.push(format!("/usr/lib/{}-linux-gnu", env::consts::ARCH).into());
        let place = places
            .into_iter()
            .find(|place| place.join(library).exists())?;
        Some((feature, place))
    });
    found.collect()
}

/// The folders of a variable such as `PATH`.
fn folders_of(variable: &str) -> Vec<PathBuf> {
    let value = env::var_os(variable).unwrap_or_default();
    let folders = env::split_paths(&value);
    folders
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn versions_are_read_as_compilers_and_drivers_write_them() {
        let said = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88\n";
        assert_eq!(release(said), Some("13.0"));
        assert_eq!((release("release "), release("nvcc")), (None, None));
        let capabilities = ["90", "9.0\n", "90a", "120", "12.1"].map(capability);
        let wanted = ["9.0", "9.0", "9.0", "12.0", "12.1"].map(|text| Some(text.to_owned()));
        assert_eq!(capabilities, wanted);
        assert_eq!(
            ["", "9", "native", "N/A"].map(capability),
            [const { None }; 4]
        );
    }

    #[test]
    fn libraries_are_found_in_a_toolkit_and_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("cu13");
        for file in [
            "cu13/lib/libcudart.so",
            "cu13/lib/libnccl.so",
            "cudnn/lib/libcudnn.so",
        ] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::create_dir(root.join("lib64")).unwrap();
        assert_eq!(library_folders(&root), [root.join("lib")]);
        let wanted = [
            ("cudnn", folder.path().join("cudnn/lib")),
            ("nccl", root.join("lib")),
        ];
        assert_eq!(companions(&root), wanted);
    }
}
