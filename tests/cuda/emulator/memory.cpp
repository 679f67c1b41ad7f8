// Device memory: each allocation ends at a page that nobody may touch, is filled with ones (a NaN in every float),
// and stays untouchable for a while after it is freed. Pinned host memory is remembered by its range.
// EMULATED_GPU_GUARD=0 takes plain memory instead (for tests with very many allocations).
#include <cstdlib>
#include <cstring>
#include <deque>
#include <sys/mman.h>

#include "machine.h"

namespace {

struct Allocation {
  size_t bytes;
  Device* device;
  char* mapping;
  size_t mapped;       // with its guard page
  Graph* graph;        // that allocated it
};

const size_t kPage = 4096, kQuarantine = 2048;
const unsigned char kCanary = 0xc5;
std::mutex memory_lock;
std::map<CUdeviceptr, Allocation> allocations;
std::deque<std::pair<CUdeviceptr, Allocation>> freed;
std::map<uint64_t, size_t> pinned;

bool guarded() {
  static const bool on = !getenv("EMULATED_GPU_GUARD") || strcmp(getenv("EMULATED_GPU_GUARD"), "0") != 0;
  return on;
}

const std::pair<const CUdeviceptr, Allocation>* find(CUdeviceptr pointer) {
  auto after = allocations.upper_bound(pointer);
  if (after == allocations.begin()) return nullptr;
  --after;
  return pointer < after->first + after->second.bytes ? &*after : nullptr;
}

bool in_pinned(uint64_t address, size_t bytes) {
  auto after = pinned.upper_bound(address);
  if (after == pinned.begin()) return false;
  --after;
  return address + bytes <= after->first + after->second;
}

// The address: as near to the guard page as an alignment of 16 bytes allows (256 where the size is a multiple of it).
char* place(Allocation& allocation) {
  size_t pages = (allocation.bytes + kPage - 1) / kPage * kPage;
  allocation.mapped = pages + kPage;
  void* mapping = mmap(nullptr, allocation.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  allocation.mapping = static_cast<char*>(mapping);
  if (guarded()) mprotect(allocation.mapping + pages, kPage, PROT_NONE);
  char* start = allocation.mapping + pages - (allocation.bytes + 15) / 16 * 16;
  memset(allocation.mapping, kCanary, size_t(start - allocation.mapping));
  memset(start, 0xff, allocation.bytes);
  memset(start + allocation.bytes, kCanary, size_t(allocation.mapping + pages - start) - allocation.bytes);
  return start;
}

void check_canaries(CUdeviceptr pointer, const Allocation& allocation) {
  const char* start = reinterpret_cast<const char*>(pointer);
  const char* end = allocation.mapping + allocation.mapped - kPage;
  for (const char* at = allocation.mapping; at < end; at++) {
    if (at == start) at += allocation.bytes;
    if (at >= end) break;
    if (static_cast<unsigned char>(*at) != kCanary) {
      emulated_abort("a kernel wrote %td bytes from the start of an allocation of %zu bytes, which is outside of it", at - start, allocation.bytes);
    }
  }
}

void retire(CUdeviceptr pointer, const Allocation& allocation) {
  if (!guarded()) {
    munmap(allocation.mapping, allocation.mapped);
    return;
  }
  mmap(allocation.mapping, allocation.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  freed.emplace_back(pointer, allocation);
  if (freed.size() <= kQuarantine) return;
  munmap(freed.front().second.mapping, freed.front().second.mapped);
  freed.pop_front();
}

}  // namespace

static CUresult allocate_for(Device* device, size_t bytes, CUdeviceptr* out, Graph* graph) {
  std::lock_guard<std::mutex> guard(memory_lock);
  if (device->used + bytes > device->memory) return CUDA_ERROR_OUT_OF_MEMORY;
  Allocation allocation = {bytes, device, nullptr, 0, graph};
  char* start = place(allocation);
  if (!start) return CUDA_ERROR_OUT_OF_MEMORY;
  *out = reinterpret_cast<CUdeviceptr>(start);
  allocations[*out] = allocation;
  device->used += bytes;
  return CUDA_SUCCESS;
}

CUresult allocate(Device* device, size_t bytes, CUdeviceptr* out) { return allocate_for(device, bytes, out, nullptr); }

CUresult release(CUdeviceptr pointer) {
  std::lock_guard<std::mutex> guard(memory_lock);
  auto found = allocations.find(pointer);
  if (found == allocations.end()) {
    for (auto& old : freed) {
      if (old.first == pointer) emulated_abort("device memory %#llx is freed twice", pointer);
    }
    emulated_abort("free of %#llx, which is not the start of an allocation", pointer);
  }
  check_canaries(pointer, found->second);
  found->second.device->used -= found->second.bytes;
  retire(pointer, found->second);
  allocations.erase(found);
  return CUDA_SUCCESS;
}

void check_range(CUdeviceptr pointer, size_t bytes, const char* what) {
  if (bytes == 0) return;
  {
    std::lock_guard<std::mutex> guard(memory_lock);
    auto* found = find(pointer);
    if (found && pointer + bytes <= found->first + found->second.bytes) return;
    if (in_pinned(pointer, bytes)) return;
  }
  emulated_abort("%s: %zu bytes from %#llx: %s", what, bytes, pointer, describe_address(pointer).c_str());
}

bool is_device_memory(CUdeviceptr pointer) {
  std::lock_guard<std::mutex> guard(memory_lock);
  return find(pointer) != nullptr;
}

Device* device_of(CUdeviceptr pointer) {
  std::lock_guard<std::mutex> guard(memory_lock);
  auto* found = find(pointer);
  return found ? found->second.device : nullptr;
}

bool is_pinned(const void* pointer, size_t bytes) {
  std::lock_guard<std::mutex> guard(memory_lock);
  return in_pinned(reinterpret_cast<uint64_t>(pointer), bytes);
}

static std::string relation(const char* kind, uint64_t address, CUdeviceptr start, const Allocation& allocation) {
  long long offset = static_cast<long long>(address - start);
  return std::string(kind) + " of " + std::to_string(allocation.bytes) + " bytes on device " + std::to_string(allocation.device->ordinal) +
         ", offset " + std::to_string(offset);
}

// Called from a signal handler too, where a held lock would never come free: it does without when it cannot have it.
std::string describe_address(uint64_t address) {
  std::unique_lock<std::mutex> guard(memory_lock, std::try_to_lock);
  if (address < 4096) return "a null pointer";
  for (auto& old : freed) {
    if (address >= reinterpret_cast<uint64_t>(old.second.mapping) && address < reinterpret_cast<uint64_t>(old.second.mapping) + old.second.mapped) {
      return relation("freed memory", address, old.first, old.second);
    }
  }
  for (auto& entry : allocations) {
    uint64_t mapping = reinterpret_cast<uint64_t>(entry.second.mapping);
    if (address >= mapping && address < mapping + entry.second.mapped) return relation("an allocation", address, entry.first, entry.second);
  }
  return "no device memory";
}

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr* out, size_t bytes) {
  Device* device;
  TRY(current_device(&device));
  TRY(unsafe_call());
  return bytes == 0 ? CUDA_ERROR_INVALID_VALUE : allocate(device, bytes, out);
}

EXPORT CUresult cuMemFree_v2(CUdeviceptr pointer) {
  Context* context;
  TRY(enter(&context));
  TRY(unsafe_call());
  return pointer ? release(pointer) : CUDA_SUCCESS;
}

EXPORT CUresult cuMemAllocManaged(CUdeviceptr* out, size_t bytes, unsigned) { return cuMemAlloc_v2(out, bytes); }

EXPORT CUresult cuMemAllocPitch_v2(CUdeviceptr* out, size_t* pitch, size_t width, size_t height, unsigned) {
  *pitch = (width + 511) / 512 * 512;
  return cuMemAlloc_v2(out, *pitch * height);
}

// Memory of a graph: it lives as long as the graph, whether a node frees it or not.
static CUresult allocate_in_graph(Stream* stream, size_t bytes, CUdeviceptr* out) {
  Graph* graph = stream->capture->graph.get();
  TRY(allocate_for(stream->context->device, bytes, out, graph));
  graph->owned.insert(*out);
  graph->unfreed.insert(*out);
  return record_node(stream, NodeType::Alloc, [] { return CUDA_SUCCESS; });
}

EXPORT CUresult cuMemAllocAsync(CUdeviceptr* out, size_t bytes, void* handle) {
  Context* context;
  TRY(enter(&context));
  Stream* stream = resolve(handle, context);
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  *out = 0;
  if (bytes == 0) return CUDA_SUCCESS;
  return stream->capture ? allocate_in_graph(stream, bytes, out) : allocate(stream->context->device, bytes, out);
}

EXPORT CUresult cuMemAllocFromPoolAsync(CUdeviceptr* out, size_t bytes, void*, void* handle) { return cuMemAllocAsync(out, bytes, handle); }

EXPORT CUresult cuMemFreeAsync(CUdeviceptr pointer, void* handle) {
  Context* context;
  TRY(enter(&context));
  if (!pointer) return CUDA_SUCCESS;
  Stream* stream = resolve(handle, context);
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  Graph* owner = nullptr;
  {
    std::lock_guard<std::mutex> memory(memory_lock);
    auto found = allocations.find(pointer);
    if (found != allocations.end()) owner = found->second.graph;
  }
  if (!stream->capture && !owner) return release(pointer);
  if (!stream->capture) return CUDA_SUCCESS;        // of a launched graph: the memory goes with the graph
  if (owner != stream->capture->graph.get()) {      // as the real one: a graph frees what it allocated
    invalidate(stream);
    return CUDA_ERROR_INVALID_VALUE;
  }
  owner->unfreed.erase(pointer);
  return record_node(stream, NodeType::Free, [] { return CUDA_SUCCESS; });
}

EXPORT CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
  Device* device;
  TRY(current_device(&device));
  std::lock_guard<std::mutex> guard(memory_lock);
  *total = device->memory;
  *free_bytes = device->memory - device->used;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr pointer) {
  std::lock_guard<std::mutex> guard(memory_lock);
  auto* found = find(pointer);
  if (!found) return CUDA_ERROR_NOT_FOUND;
  if (base) *base = found->first;
  if (bytes) *bytes = found->second.bytes;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuPointerGetAttribute(void* data, int attribute, CUdeviceptr pointer) {
  Device* device = device_of(pointer);
  std::lock_guard<std::mutex> guard(memory_lock);
  bool host = !device && in_pinned(pointer, 1);
  if (!device && !host) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case 1: *static_cast<Context**>(data) = device ? &device->context : current_context(); return CUDA_SUCCESS;
    case 2: *static_cast<unsigned*>(data) = host ? 1 : 2; return CUDA_SUCCESS;
    case 3: *static_cast<CUdeviceptr*>(data) = pointer; return CUDA_SUCCESS;
    case 9: *static_cast<int*>(data) = device ? device->ordinal : 0; return CUDA_SUCCESS;
    default: return CUDA_ERROR_NOT_SUPPORTED;
  }
}

EXPORT CUresult cuMemHostAlloc(void** out, size_t bytes, unsigned) {
  Context* context;
  TRY(enter(&context));
  TRY(unsafe_call());
  if (posix_memalign(out, kPage, std::max<size_t>(bytes, 1))) return CUDA_ERROR_OUT_OF_MEMORY;
  std::lock_guard<std::mutex> guard(memory_lock);
  pinned[reinterpret_cast<uint64_t>(*out)] = bytes;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemAllocHost_v2(void** out, size_t bytes) { return cuMemHostAlloc(out, bytes, 0); }

EXPORT CUresult cuMemFreeHost(void* pointer) {
  TRY(unsafe_call());
  std::lock_guard<std::mutex> guard(memory_lock);
  if (!pinned.erase(reinterpret_cast<uint64_t>(pointer))) return CUDA_ERROR_INVALID_VALUE;
  free(pointer);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned) {
  std::lock_guard<std::mutex> guard(memory_lock);
  if (in_pinned(reinterpret_cast<uint64_t>(pointer), 1)) return 712;            // already registered
  pinned[reinterpret_cast<uint64_t>(pointer)] = bytes;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuMemHostUnregister(void* pointer) {
  std::lock_guard<std::mutex> guard(memory_lock);
  return pinned.erase(reinterpret_cast<uint64_t>(pointer)) ? CUDA_SUCCESS : 713;
}

EXPORT CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* out, void* pointer, unsigned) {
  *out = reinterpret_cast<CUdeviceptr>(pointer);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetDefaultMemPool(void** pool, CUdevice device) { *pool = devices()[size_t(device)]; return CUDA_SUCCESS; }
EXPORT CUresult cuDeviceGetMemPool(void** pool, CUdevice device) { return cuDeviceGetDefaultMemPool(pool, device); }
EXPORT CUresult cuMemPoolSetAttribute(void*, int, void*) { return CUDA_SUCCESS; }
EXPORT CUresult cuMemPoolSetAccess(void*, const void*, size_t) { return CUDA_SUCCESS; }
EXPORT CUresult cuMemPoolTrimTo(void*, size_t) { return CUDA_SUCCESS; }
EXPORT CUresult cuMemPoolGetAttribute(void* pool, int attribute, void* value) {
  *static_cast<uint64_t*>(value) = attribute >= 5 ? static_cast<Device*>(pool)->used : 0;
  return CUDA_SUCCESS;
}
