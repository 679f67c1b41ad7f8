// The emulated machine: devices, memory, streams, events, captures, graphs, modules; and the few functions
// that the emulated libraries (cuBLAS, cuDNN, cuRAND, NCCL, NVRTC) use of it. Work is done at once, on the
// thread that submits it, in the order of submission. It finds wrong results and wrong calls; it says nothing
// about time. Kept apart from the toolkit: no NVIDIA header is needed to build it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;

enum : CUresult {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_INITIALIZED = 3,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_INVALID_CONTEXT = 201,
  CUDA_ERROR_INVALID_HANDLE = 400,
  CUDA_ERROR_ILLEGAL_STATE = 401,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED = 704,
  CUDA_ERROR_PEER_ACCESS_NOT_ENABLED = 705,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_NOT_SUPPORTED = 801,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
  CUDA_ERROR_STREAM_CAPTURE_MERGE = 902,
  CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
  CUDA_ERROR_STREAM_CAPTURE_UNJOINED = 904,
  CUDA_ERROR_STREAM_CAPTURE_ISOLATION = 905,
  CUDA_ERROR_STREAM_CAPTURE_IMPLICIT = 906,
  CUDA_ERROR_CAPTURED_EVENT = 907,
  CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD = 908,
};

// CUgraphNodeType of the real header.
enum class NodeType { Kernel = 0, Memcpy = 1, Memset = 2, Host = 3, Graph = 4, Empty = 5, WaitEvent = 6, RecordEvent = 7, Alloc = 10, Free = 11 };

struct Device;
struct Stream;
struct Capture;

struct Context {
  Device* device;
  bool primary;
  Stream* legacy;               // the stream of handle 0
  std::set<Device*> peers;      // devices whose memory kernels of this context may touch
};

struct Device {
  int ordinal;
  std::string uuid;             // GPU-xxxxxxxx-...
  unsigned char uuid_bytes[16];
  size_t memory, used = 0;
  std::atomic<uint64_t> launches{0};
  std::atomic<bool> lost{false};
  Context context;              // the primary one
  int retained = 0;
};

// One piece of work: what it does when it runs, on which stream. It returns a CUresult.
typedef std::function<CUresult()> Work;

struct Node {
  NodeType type;
  Work work;
};

struct Graph {
  std::vector<Node> nodes;
  std::set<CUdeviceptr> owned;      // allocated by the graph
  std::set<CUdeviceptr> unfreed;    // of these: no free node in the graph
  Device* device = nullptr;
};

// Which node of which stream comes before: for the question whether a capture is joined at its end.
typedef std::map<Stream*, uint64_t> Clock;

struct Capture {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  Stream* origin;
  int mode;                         // 0 global, 1 thread-local, 2 relaxed
  uint64_t thread;                  // that began it
  bool invalid = false;
  uint64_t sequence = 0;
  std::map<Stream*, Clock> streams;
};

struct Stream {
  Context* context;
  unsigned flags;                   // 1: non-blocking
  bool legacy = false;
  std::shared_ptr<Capture> capture; // guarded by capture_lock()
  std::recursive_mutex order;       // work of one stream runs one after the other
};

struct Event {
  Context* context;
  unsigned flags;                   // 2: no timing
  bool recorded = false;
  double seconds = 0;
  std::shared_ptr<Capture> capture; // set by a record on a capturing stream
  Clock clock;
};

// --- device.cpp
std::vector<Device*>& devices();
Context* current_context();
CUresult current_device(Device** device);
// Not initialised, no context, or a lost device: what every call with a context checks first.
CUresult enter(Context** context);
double host_seconds();
[[noreturn]] void emulated_abort(const char* format, ...) __attribute__((format(printf, 1, 2)));

// --- memory.cpp
CUresult allocate(Device* device, size_t bytes, CUdeviceptr* out);
CUresult release(CUdeviceptr pointer);
// Aborts with a message if a byte of the range is no device memory (or registered host memory, if allowed).
void check_range(CUdeviceptr pointer, size_t bytes, const char* what);
bool is_device_memory(CUdeviceptr pointer);
bool is_pinned(const void* pointer, size_t bytes);
Device* device_of(CUdeviceptr pointer);
std::string describe_address(uint64_t address);

// --- stream.cpp
Stream* resolve(void* handle, Context* context);
CUresult submit(Stream* stream, NodeType type, Work work);
double seconds_now();

// --- capture.cpp
std::recursive_mutex& capture_lock();
uint64_t this_thread();
// A call that is not allowed while this thread (or, for a global capture, any thread) captures.
CUresult unsafe_call();
// A call that synchronises with the context or its legacy stream.
CUresult implicit_call(Context* context);
CUresult record_node(Stream* stream, NodeType type, Work work);
void invalidate(Stream* stream);

// --- compile.cpp
struct Compiled {
  bool ok;
  std::string path, log;
  std::vector<std::string> kernels;
};
Compiled compile_device_code(const std::string& source, const std::string& name, const std::vector<std::string>& options, bool strict);
std::string emulator_folder();

// --- block.cpp
struct EmulatedKernel;
CUresult run_grid(const EmulatedKernel* kernel, void** arguments, const unsigned grid[3], const unsigned block[3], size_t dynamic_shared, bool strict);

#define EXPORT extern "C" __attribute__((visibility("default")))
#define TRY(expression) do { CUresult result_ = (expression); if (result_ != CUDA_SUCCESS) return result_; } while (0)
