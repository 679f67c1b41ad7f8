//! One GPU of this process. In: its UUID. Out: kernels, products and copies on its main queue, and what
//! the driver says of it.

use super::blas;
use super::compile::Modules;
use super::cudnn::Handle;
use super::graph::{self, Graph};
use super::queue::Queue;
use super::{Arg, Gemm, Launch, Numbers, Options, Span};
use crate::worker::layer::Scalar;
use candle_core::cuda_backend::{CudaDevice, WrapErr, cudarc};
use candle_core::{Device, Result, Tensor};
use cudarc::driver::{CudaContext, result, sys};
use std::ffi::c_void;
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
        let workspace = unsafe { cuda.alloc::<u8>(blas::WORKSPACE) }?;
        blas::prepare(&cuda, &workspace, options.tf32)?;
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
        self.0.queue.bind()?;
        self.0.queue.count(1);
        blas::put(&self.0.cuda, self.0.tf32, product)
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

fn address_of(arg: &Arg) -> *mut c_void {
    let address: *const c_void = match arg {
        Arg::Pointer(value) | Arg::U64(value) => std::ptr::from_ref(value).cast(),
        Arg::U32(value) => std::ptr::from_ref(value).cast(),
        Arg::F32(value) => std::ptr::from_ref(value).cast(),
        Arg::F64(value) => std::ptr::from_ref(value).cast(),
    };
    address.cast_mut()
}
