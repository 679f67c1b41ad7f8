// Copies and fills. The synchronous ones use the legacy stream, as the real ones do.
#include <cstring>

#include "machine.h"

namespace {

enum class Side { Host, Device };

struct Copy {
  uint64_t to, from;
  size_t bytes;
  Side to_side, from_side;
  const char* name;
};

CUresult run_copy(const Copy& copy) {
  if (copy.to_side == Side::Device) check_range(copy.to, copy.bytes, copy.name);
  if (copy.from_side == Side::Device) check_range(copy.from, copy.bytes, copy.name);
  memmove(reinterpret_cast<void*>(copy.to), reinterpret_cast<const void*>(copy.from), copy.bytes);
  return CUDA_SUCCESS;
}

bool is_pageable(const Copy& copy) {
  bool to = copy.to_side == Side::Host && !is_pinned(reinterpret_cast<void*>(copy.to), copy.bytes);
  bool from = copy.from_side == Side::Host && !is_pinned(reinterpret_cast<void*>(copy.from), copy.bytes);
  return to || from;
}

// A graph would read pageable memory when it is replayed, long after its owner has freed it: refused.
CUresult copy_async(const Copy& copy, void* handle) {
  Context* context;
  TRY(enter(&context));
  Stream* stream = resolve(handle, context);
  {
    std::lock_guard<std::recursive_mutex> guard(capture_lock());
    if (stream->capture && is_pageable(copy)) {
      invalidate(stream);
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  }
  return submit(stream, NodeType::Memcpy, [copy] { return run_copy(copy); });
}

CUresult copy_now(const Copy& copy) {
  Context* context;
  TRY(enter(&context));
  TRY(unsafe_call());
  TRY(implicit_call(context));
  return submit(context->legacy, NodeType::Memcpy, [copy] { return run_copy(copy); });
}

Side side_of(uint64_t address) { return is_device_memory(address) ? Side::Device : Side::Host; }
uint64_t address(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

template <class T> CUresult run_fill(CUdeviceptr to, size_t pitch, T value, size_t width, size_t height, const char* name) {
  for (size_t row = 0; row < height; row++) {
    check_range(to + row * pitch, width * sizeof(T), name);
    T* at = reinterpret_cast<T*>(to + row * pitch);
    std::fill(at, at + width, value);
  }
  return CUDA_SUCCESS;
}

template <class T> CUresult fill_async(CUdeviceptr to, size_t pitch, T value, size_t width, size_t height, void* handle, const char* name) {
  Context* context;
  TRY(enter(&context));
  return submit(resolve(handle, context), NodeType::Memset, [=] { return run_fill(to, pitch, value, width, height, name); });
}

template <class T> CUresult fill_now(CUdeviceptr to, T value, size_t count, const char* name) {
  Context* context;
  TRY(enter(&context));
  TRY(unsafe_call());
  TRY(implicit_call(context));
  return submit(context->legacy, NodeType::Memset, [=] { return run_fill(to, 0, value, count, 1, name); });
}

// CUDA_MEMCPY2D of the real header.
struct Copy2d {
  size_t from_x, from_y;
  int from_type;
  const void* from_host;
  CUdeviceptr from_device;
  void* from_array;
  size_t from_pitch;
  size_t to_x, to_y;
  int to_type;
  void* to_host;
  CUdeviceptr to_device;
  void* to_array;
  size_t to_pitch, width, height;
};

CUresult run_rows(const Copy2d& rows) {
  bool from_host = rows.from_type == 1, to_host = rows.to_type == 1;
  uint64_t from = from_host ? address(rows.from_host) : rows.from_device, to = to_host ? address(rows.to_host) : rows.to_device;
  for (size_t y = 0; y < rows.height; y++) {
    Copy row = {to + (rows.to_y + y) * rows.to_pitch + rows.to_x, from + (rows.from_y + y) * rows.from_pitch + rows.from_x, rows.width,
                to_host ? Side::Host : Side::Device, from_host ? Side::Host : Side::Device, "cuMemcpy2D"};
    TRY(run_copy(row));
  }
  return CUDA_SUCCESS;
}

}  // namespace

EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  return copy_now({to, address(from), bytes, Side::Device, Side::Host, "cuMemcpyHtoD"});
}
EXPORT CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  return copy_now({address(to), from, bytes, Side::Host, Side::Device, "cuMemcpyDtoH"});
}
EXPORT CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return copy_now({to, from, bytes, Side::Device, Side::Device, "cuMemcpyDtoD"});
}
EXPORT CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) { return copy_now({to, from, bytes, side_of(to), side_of(from), "cuMemcpy"}); }
EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, void* stream) {
  return copy_async({to, address(from), bytes, Side::Device, Side::Host, "cuMemcpyHtoDAsync"}, stream);
}
EXPORT CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, void* stream) {
  return copy_async({address(to), from, bytes, Side::Host, Side::Device, "cuMemcpyDtoHAsync"}, stream);
}
EXPORT CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, void* stream) {
  return copy_async({to, from, bytes, Side::Device, Side::Device, "cuMemcpyDtoDAsync"}, stream);
}
EXPORT CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, void* stream) {
  return copy_async({to, from, bytes, side_of(to), side_of(from), "cuMemcpyAsync"}, stream);
}

static CUresult check_peers(CUdeviceptr to, Context* to_context, CUdeviceptr from, Context* from_context) {
  bool right = device_of(to) == to_context->device && device_of(from) == from_context->device;
  return right ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
EXPORT CUresult cuMemcpyPeer(CUdeviceptr to, Context* to_context, CUdeviceptr from, Context* from_context, size_t bytes) {
  if (bytes) TRY(check_peers(to, to_context, from, from_context));
  return copy_now({to, from, bytes, Side::Device, Side::Device, "cuMemcpyPeer"});
}
EXPORT CUresult cuMemcpyPeerAsync(CUdeviceptr to, Context* to_context, CUdeviceptr from, Context* from_context, size_t bytes, void* stream) {
  if (bytes) TRY(check_peers(to, to_context, from, from_context));
  return copy_async({to, from, bytes, Side::Device, Side::Device, "cuMemcpyPeerAsync"}, stream);
}

EXPORT CUresult cuMemcpy2D_v2(const Copy2d* rows) {
  Context* context;
  TRY(enter(&context));
  TRY(unsafe_call());
  TRY(implicit_call(context));
  Copy2d kept = *rows;
  return submit(context->legacy, NodeType::Memcpy, [kept] { return run_rows(kept); });
}
EXPORT CUresult cuMemcpy2DAsync_v2(const Copy2d* rows, void* handle) {
  Context* context;
  TRY(enter(&context));
  Copy2d kept = *rows;
  return submit(resolve(handle, context), NodeType::Memcpy, [kept] { return run_rows(kept); });
}

EXPORT CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) { return fill_now(to, value, count, "cuMemsetD8"); }
EXPORT CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) { return fill_now(to, value, count, "cuMemsetD16"); }
EXPORT CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) { return fill_now(to, value, count, "cuMemsetD32"); }
EXPORT CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, void* stream) {
  return fill_async(to, 0, value, count, 1, stream, "cuMemsetD8Async");
}
EXPORT CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, void* stream) {
  return fill_async(to, 0, value, count, 1, stream, "cuMemsetD16Async");
}
EXPORT CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, void* stream) {
  return fill_async(to, 0, value, count, 1, stream, "cuMemsetD32Async");
}
EXPORT CUresult cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned value, size_t width, size_t height, void* stream) {
  return fill_async(to, pitch, value, width, height, stream, "cuMemsetD2D32Async");
}
