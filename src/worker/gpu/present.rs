//! One GPU of this process. In: its UUID. Out: kernels, products and copies on its main queue, and what
//! the driver says of it.

use super::compile::Modules;
use super::cudnn::Handle;
use super::graph::{self, Graph};
use super::queue::Queue;
use super::{Arg, Gemm, Launch, Numbers, Options, Span};
use crate::worker::layer::Scalar;
use candle_core::cuda_backend::{CudaDevice, WrapErr, cudarc};
use candle_core::{Device, Result, Tensor};
use cudarc::cublas::sys as blas;
use cudarc::driver::{CudaContext, result, sys};
use std::ffi::{c_int, c_void};
use std::fmt;
use std::sync::Arc;

/// A GPU as one replica uses it: with a main queue of its own, and a cuBLAS handle for it.
#[derive(Clone)]
pub struct Gpu(Arc<Inner>);

struct Inner {
    /// Ends before the queue that it uses.
    cudnn: Handle,
    device: Device,
    cuda: CudaDevice,
    queue: Queue,
    modules: Modules,
    uuid: String,
    name: String,
    tf32: bool,
    /// For cuBLAS, which would else allocate while a graph is captured.
    _workspace: cudarc::driver::CudaSlice<u8>,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpu({})", self.0.uuid)
    }
}

/// What NVIDIA recommends for its largest GPUs, in bytes.
const BLAS_WORKSPACE: usize = 32 << 20;

impl Gpu {
    /// The UUIDs of all GPUs that this process sees, in CUDA's order.
    ///
    /// # Errors
    /// The driver's words: no driver, no GPU.
    pub fn visible() -> Result<Vec<String>> {
        let uuid = |ordinal| -> Result<String> {
            let device = result::device::get(ordinal).w()?;
            Ok(text_of(result::device::get_uuid(device).w()?))
        };
        (0..CudaContext::device_count().w()?).map(uuid).collect()
    }

    /// The GPU with this UUID, `GPU-…`, and a new queue on it. Compiles the kernels for it, if the cache
    /// does not have them.
    ///
    /// # Errors
    /// No such GPU is visible to this process, or the driver's words.
    pub fn open(uuid: &str, options: &Options) -> Result<Self> {
        let ordinal = ordinal_of(uuid)?;
        let cuda = CudaDevice::new_with_stream(ordinal)?;
        // SAFETY: all work on tensors goes to the main queue; what other queues use is ordered by events.
        unsafe { cuda.disable_event_tracking() };
        let stream = cuda.cuda_stream();
        let context = stream.context();
        let modules = Modules::new(context.clone(), options.cache.as_deref())?;
        // SAFETY: only cuBLAS uses this memory, which needs no first values.
        let workspace = unsafe { cuda.alloc::<u8>(BLAS_WORKSPACE) }?;
        prepare_blas(&cuda, &workspace, options.tf32)?;
        Ok(Self(Arc::new(Inner {
            cudnn: Handle::default(),
            device: Device::Cuda(cuda.clone()),
            queue: Queue::of(stream.clone()),
            modules,
            uuid: uuid.to_owned(),
            name: context.name().w()?,
            tf32: options.tf32,
            cuda,
            _workspace: workspace,
        })))
    }

    /// As candle knows it. Its tensors use the main queue.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    pub fn uuid(&self) -> &str {
        &self.0.uuid
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether products may round to TF32.
    pub fn tf32(&self) -> bool {
        self.0.tf32
    }

    /// For cuDNN, where this program has it.
    pub fn cudnn(&self) -> &Handle {
        &self.0.cudnn
    }

    /// The main queue.
    pub fn queue(&self) -> &Queue {
        &self.0.queue
    }

    /// One more queue on this GPU, whose work is done beside that of the main queue.
    pub fn side_queue(&self) -> Result<Queue> {
        Ok(Queue::of(self.context().new_stream().w()?))
    }

    /// Puts a kernel of `kernels/` on the main queue: the instance for numbers of type `T`. The caller
    /// promises that the arguments are those of the kernel and that what they point to lives until it is
    /// done.
    pub fn launch<T: Scalar>(
        &self,
        kernel: &'static str,
        launch: Launch,
        args: &[Arg],
    ) -> Result<()> {
        let function = self.0.modules.function::<T>(kernel)?;
        let mut parameters: Vec<*mut c_void> = args.iter().map(address_of).collect();
        let [grid, block] = [launch.grid, launch.block].map(|[x, y, z]| (x, y, z));
        let stream = self.0.queue.raw();
        self.0.queue.bind()?;
        self.0.queue.count(1);
        // SAFETY: the caller's promise. CUDA copies the arguments before it returns.
        unsafe {
            result::launch_kernel(
                function,
                grid,
                block,
                launch.shared_bytes,
                stream,
                &mut parameters,
            )
        }
        .map_err(|error| candle_core::Error::wrap(error).context(format!("kernel {kernel}")))
    }

    /// Puts a product of matrices on the main queue. Panics where a matrix is longer than its memory.
    pub fn gemm<T: Scalar>(&self, product: Gemm<T>) -> Result<()> {
        product.check();
        self.0.queue.bind()?;
        self.0.queue.count(1);
        let transposed = |yes| match yes {
            true => blas::cublasOperation_t::CUBLAS_OP_T,
            false => blas::cublasOperation_t::CUBLAS_OP_N,
        };
        let Gemm {
            rows,
            columns,
            inner,
            a_transposed,
            b_transposed,
            count,
            ..
        } = product;
        let int = |size: usize| c_int::try_from(size).expect("a matrix has fewer than 2^31 rows");
        let number = Number::of::<T>();
        let [alpha, beta] = [product.alpha, product.beta].map(|factor| number.of_factor(factor));
        let long = |rows: usize, columns: usize| (rows * columns) as i64;
        // SAFETY: `check` has seen that the matrices are as long as they say; the handle is this GPU's.
        // cuBLAS knows matrices column by column: it is given the transposed product, bᵀ · aᵀ.
        unsafe {
            cudarc::cublas::result::gemm_strided_batched_ex(
                *self.0.cuda.cublas_handle().handle(),
                transposed(b_transposed),
                transposed(a_transposed),
                int(columns),
                int(rows),
                int(inner),
                alpha.address(),
                product.b.address() as *const c_void,
                number.kind(),
                int(if b_transposed { inner } else { columns }),
                long(inner, columns),
                product.a.address() as *const c_void,
                number.kind(),
                int(if a_transposed { rows } else { inner }),
                long(rows, inner),
                beta.address(),
                product.c.address() as *mut c_void,
                number.kind(),
                int(columns),
                long(rows, columns),
                int(count),
                number.compute(self.0.tf32),
                blas::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .map_err(candle_core::Error::wrap)
    }

    /// Fills memory with zeros.
    pub fn zero<T: Numbers>(&self, span: Span<T>) -> Result<()> {
        self.0.queue.zero(span)
    }

    /// Copies numbers within this GPU. Panics where the spans differ in length.
    pub fn copy<T: Numbers>(&self, from: Span<T>, to: Span<T>) -> Result<()> {
        self.0.queue.copy(from, to)
    }

    /// Where the numbers of a contiguous tensor of this GPU lie.
    pub fn span<T: Numbers>(&self, tensor: &Tensor) -> Result<Span<T>> {
        super::tensor::span(tensor)
    }

    /// Lets `work` put its work into a graph instead of on the main queue. Nothing of it is done yet.
    /// While it does so it must not wait for the queue, nor take or give back memory.
    pub fn capture<R, E: From<candle_core::Error>>(
        &self,
        work: impl FnOnce() -> std::result::Result<R, E>,
    ) -> std::result::Result<(R, Graph), E> {
        graph::capture(&self.0.queue, work)
    }

    /// What was put on all queues of this GPU's main one so far: kernels, copies and library calls. Those
    /// of a graph count at each replay.
    pub fn launches(&self) -> u64 {
        self.0.queue.launches()
    }

    /// Memory of the GPU that is in use now, by whomever.
    pub fn memory_bytes(&self) -> Result<u64> {
        let (free, total) = self.context().mem_get_info().w()?;
        Ok((total - free) as u64)
    }

    /// Waits until the main queue is done.
    pub fn synchronize(&self) -> Result<()> {
        self.0.queue.synchronize()
    }

    pub(super) fn context(&self) -> &Arc<CudaContext> {
        self.0.queue.stream().context()
    }
}

/// The place of a GPU among those that this process sees.
fn ordinal_of(uuid: &str) -> Result<usize> {
    let visible = Gpu::visible()?;
    match visible.iter().position(|this| this == uuid) {
        Some(ordinal) => Ok(ordinal),
        None => {
            let (count, list) = (visible.len(), visible.join(", "));
            candle_core::bail!("this process sees no GPU {uuid}, but {count}: {list}")
        }
    }
}

/// In NVML's spelling.
fn text_of(uuid: sys::CUuuid) -> String {
    let mut text = String::from("GPU");
    for (place, byte) in uuid.bytes.iter().enumerate() {
        if [0, 4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text += &format!("{:02x}", *byte as u8);
    }
    text
}

fn prepare_blas(
    cuda: &CudaDevice,
    workspace: &cudarc::driver::CudaSlice<u8>,
    tf32: bool,
) -> Result<()> {
    use cudarc::driver::DevicePtr;
    let mode = match tf32 {
        true => blas::cublasMath_t::CUBLAS_TF32_TENSOR_OP_MATH,
        false => blas::cublasMath_t::CUBLAS_DEFAULT_MATH,
    };
    let stream = cuda.cuda_stream();
    let (address, _used) = workspace.device_ptr(&stream);
    let handle = *cuda.cublas_handle().handle();
    // SAFETY: the workspace lives as long as the handle, in the same `Gpu`.
    unsafe {
        blas::cublasSetMathMode(handle, mode)
            .result()
            .map_err(candle_core::Error::wrap)?;
        blas::cublasSetWorkspace_v2(handle, address as *mut c_void, BLAS_WORKSPACE)
            .result()
            .map_err(candle_core::Error::wrap)
    }
}

fn address_of(arg: &Arg) -> *mut c_void {
    let address: *const c_void = match arg {
        Arg::Pointer(value) | Arg::U64(value) => std::ptr::from_ref(value).cast(),
        Arg::U32(value) => std::ptr::from_ref(value).cast(),
        Arg::F32(value) => std::ptr::from_ref(value).cast(),
        Arg::F64(value) => std::ptr::from_ref(value).cast(),
    };
    address.cast_mut()
}

/// A type of numbers as cuBLAS names it.
#[derive(Clone, Copy, PartialEq)]
enum Number {
    Single,
    Double,
}

/// A factor in the type that a product computes with.
enum Factor {
    Single(f32),
    Double(f64),
}

impl Number {
    fn of<T: Scalar>() -> Self {
        match size_of::<T>() {
            4 => Self::Single,
            _ => Self::Double,
        }
    }

    fn kind(self) -> blas::cudaDataType {
        match self {
            Self::Single => blas::cudaDataType::CUDA_R_32F,
            Self::Double => blas::cudaDataType::CUDA_R_64F,
        }
    }

    fn compute(self, tf32: bool) -> blas::cublasComputeType_t {
        match (self, tf32) {
            (Self::Single, true) => blas::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            (Self::Single, false) => blas::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            (Self::Double, _) => blas::cublasComputeType_t::CUBLAS_COMPUTE_64F,
        }
    }

    fn of_factor(self, factor: f64) -> Factor {
        match self {
            Self::Single => Factor::Single(factor as f32),
            Self::Double => Factor::Double(factor),
        }
    }
}

impl Factor {
    fn address(&self) -> *const c_void {
        match self {
            Self::Single(number) => std::ptr::from_ref(number).cast(),
            Self::Double(number) => std::ptr::from_ref(number).cast(),
        }
    }
}
