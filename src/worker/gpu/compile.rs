//! Kernels from their source. In: the files of `kernels/` and a GPU's compute capability. Out: functions
//! by name. Compiled by NVRTC for the very GPU, once for each type of numbers, when a process first needs
//! them, and kept in a folder for the next one.

use crate::worker::layer::Scalar;
use candle_core::cuda_backend::{WrapErr, cudarc};
use candle_core::{Error, Result};
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, sys};
use cudarc::nvrtc::{self, Ptx};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{fs, process};

/// All sources, in the order in which they are one program. The first has what the others use.
const SOURCES: &[&str] = &[
    include_str!("kernels/first.cu"),
    include_str!("kernels/channels.cu"),
    include_str!("kernels/loss.cu"),
    include_str!("kernels/lrn.cu"),
    include_str!("kernels/optimizer.cu"),
    include_str!("kernels/pointwise.cu"),
    include_str!("kernels/pool.cu"),
    include_str!("kernels/dense.cu"),
    include_str!("kernels/conv.cu"),
    include_str!("kernels/tiles.cu"),
    include_str!("kernels/direct.cu"),
    include_str!("kernels/behind.cu"),
    include_str!("kernels/behind_back.cu"),
    include_str!("kernels/distort.cu"),
    include_str!("kernels/normal.cu"),
    include_str!("kernels/fields.cu"),
];

/// The functions of one GPU.
pub struct Modules {
    context: Arc<CudaContext>,
    /// Such as `sm_90`.
    architecture: String,
    cache: Option<PathBuf>,
    /// Of f32 and of f64, when somebody has asked.
    loaded: [Mutex<Option<Loaded>>; 2],
}

struct Loaded {
    module: Arc<CudaModule>,
    functions: HashMap<&'static str, CudaFunction>,
}

impl Modules {
    /// Compiles the kernels of f32, or takes them from `cache`.
    pub fn new(context: Arc<CudaContext>, cache: Option<&Path>) -> Result<Self> {
        let (major, minor) = context.compute_capability().w()?;
        let modules = Self {
            context,
            architecture: format!("sm_{major}{minor}"),
            cache: cache.map(Path::to_owned),
            loaded: Default::default(),
        };
        *modules.lock::<f32>() = Some(modules.load::<f32>()?);
        Ok(modules)
    }

    /// The instance of a kernel for numbers of type `T`.
    pub fn function<T: Scalar>(&self, name: &'static str) -> Result<sys::CUfunction> {
        let mut loaded = self.lock::<T>();
        let loaded = match &mut *loaded {
            Some(loaded) => loaded,
            empty => empty.insert(self.load::<T>()?),
        };
        if let Some(function) = loaded.functions.get(name) {
            return Ok(function.cu_function());
        }
        let function = loaded.module.load_function(name).w()?;
        let raw = function.cu_function();
        loaded.functions.insert(name, function);
        Ok(raw)
    }

    fn lock<T: Scalar>(&self) -> std::sync::MutexGuard<'_, Option<Loaded>> {
        self.loaded[usize::from(size_of::<T>() == 8)]
            .lock()
            .expect("no thread panics while it loads a module")
    }

    fn load<T: Scalar>(&self) -> Result<Loaded> {
        let program = Program {
            architecture: &self.architecture,
            real: real::<T>(),
        };
        let binary = program.through(self.cache.as_deref())?;
        let module = self.context.load_module(Ptx::from_binary(binary)).w()?;
        Ok(Loaded {
            module,
            functions: HashMap::new(),
        })
    }
}

/// The name of a type in CUDA.
fn real<T: Scalar>() -> &'static str {
    match size_of::<T>() {
        4 => "float",
        _ => "double",
    }
}

/// The kernels for one architecture and one type of numbers.
struct Program<'a> {
    architecture: &'a str,
    real: &'static str,
}

impl Program<'_> {
    /// From the cache, or compiled and put there. A cache that cannot be written is no error: the next
    /// process compiles again.
    fn through(&self, cache: Option<&Path>) -> Result<Vec<u8>> {
        let Some(cache) = cache else {
            return self.compile();
        };
        let file = cache.join(format!("kernels-{}.cubin", self.key()?));
        if let Ok(binary) = fs::read(&file) {
            return Ok(binary);
        }
        let binary = self.compile()?;
        let temporary = cache.join(format!("kernels-{}.tmp", process::id()));
        let _ = fs::create_dir_all(cache)
            .and_then(|()| fs::write(&temporary, &binary))
            .and_then(|()| fs::rename(&temporary, &file));
        Ok(binary)
    }

    /// What the binary depends on.
    fn key(&self) -> Result<String> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: two places for two numbers.
        unsafe { nvrtc::sys::nvrtcVersion(&mut major, &mut minor) }
            .result()
            .map_err(Error::wrap)?;
        let mut hash = Sha256::new();
        for part in SOURCES.iter().chain([&self.architecture, &self.real]) {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(format!("{major}.{minor}"));
        let bytes = hash.finalize();
        Ok(bytes
            .iter()
            .take(12)
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    fn compile(&self) -> Result<Vec<u8>> {
        let source = CString::new(SOURCES.concat()).expect("sources have no zero byte");
        let program = nvrtc::result::create_program(&source, Some(c"kernels.cu"));
        let program = program.map_err(Error::wrap)?;
        let options = [
            format!("--gpu-architecture={}", self.architecture),
            format!("-DREAL={}", self.real),
            "--std=c++17".to_owned(),
        ];
        // SAFETY: the program was created above and is destroyed below, once.
        let compiled = unsafe {
            let compiled = nvrtc::result::compile_program(program, &options)
                .map_err(|error| Error::wrap(error).context(log(program)))
                .and_then(|()| binary_of(program));
            let _ = nvrtc::result::destroy_program(program);
            compiled
        };
        compiled.map_err(|error| error.context("compiling the kernels"))
    }
}

/// What the compiler says.
///
/// # Safety
/// The program lives.
unsafe fn log(program: nvrtc::sys::nvrtcProgram) -> String {
    // SAFETY: the caller's promise; the log ends with a zero.
    let log = unsafe { nvrtc::result::get_program_log(program) };
    log.map_or(String::new(), |log| {
        // SAFETY: NVRTC ends its logs with a zero.
        let text = unsafe { CStr::from_ptr(log.as_ptr()) };
        text.to_string_lossy().into_owned()
    })
}

/// # Safety
/// The program was compiled.
unsafe fn binary_of(program: nvrtc::sys::nvrtcProgram) -> Result<Vec<u8>> {
    let mut length = 0;
    // SAFETY: the caller's promise; the second call gets as much room as the first one asks for.
    unsafe {
        nvrtc::sys::nvrtcGetCUBINSize(program, &mut length)
            .result()
            .map_err(Error::wrap)?;
        let mut binary = vec![0u8; length];
        nvrtc::sys::nvrtcGetCUBIN(program, binary.as_mut_ptr().cast())
            .result()
            .map_err(Error::wrap)?;
        Ok(binary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Ampere on. Needs the compiler and no GPU.
    #[test]
    fn kernels_compile_for_every_architecture_and_type_of_numbers() {
        for architecture in ["sm_80", "sm_90", "sm_100"] {
            for real in ["float", "double"] {
                let program = Program { architecture, real };
                let binary = program.compile().unwrap();
                assert!(!binary.is_empty(), "{architecture}, {real}");
            }
        }
    }

    #[test]
    fn a_second_process_takes_what_the_first_has_compiled() {
        let cache = tempfile::tempdir().unwrap();
        let program = Program {
            architecture: "sm_90",
            real: "float",
        };
        let compiled = program.through(Some(cache.path())).unwrap();
        let mut files = fs::read_dir(cache.path()).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none(), "nothing temporary is left");
        assert_eq!(fs::read(&file).unwrap(), compiled);
        fs::write(&file, "kept").unwrap();
        assert_eq!(program.through(Some(cache.path())).unwrap(), b"kept");
    }
}
