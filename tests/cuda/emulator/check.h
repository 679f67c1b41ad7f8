// The calls that the emulation's own checks make, declared as the real headers have them.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

typedef unsigned long long CUdeviceptr;
typedef void* Opaque;

extern "C" {
int cuInit(unsigned);
int cuDeviceGet(int*, int);
int cuDevicePrimaryCtxRetain(Opaque*, int);
int cuCtxSetCurrent(Opaque);
int cuCtxSynchronize();
int cuStreamCreate(Opaque*, unsigned);
int cuStreamSynchronize(Opaque);
int cuStreamBeginCapture_v2(Opaque, int);
int cuStreamEndCapture(Opaque, Opaque*);
int cuStreamIsCapturing(Opaque, int*);
int cuStreamWaitEvent(Opaque, Opaque, unsigned);
int cuEventCreate(Opaque*, unsigned);
int cuEventRecord(Opaque, Opaque);
int cuEventRecordWithFlags(Opaque, Opaque, unsigned);
int cuEventSynchronize(Opaque);
int cuEventElapsedTime_v2(float*, Opaque, Opaque);
int cuGraphInstantiateWithFlags(Opaque*, Opaque, unsigned long long);
int cuGraphLaunch(Opaque, Opaque);
int cuGraphGetNodes(Opaque, Opaque*, size_t*);
int cuGraphDestroy(Opaque);
int cuGraphExecDestroy(Opaque);
int cuMemAlloc_v2(CUdeviceptr*, size_t);
int cuMemAllocAsync(CUdeviceptr*, size_t, Opaque);
int cuMemFreeAsync(CUdeviceptr, Opaque);
int cuMemFree_v2(CUdeviceptr);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemcpyHtoD_v2(CUdeviceptr, const void*, size_t);
int cuMemcpyDtoH_v2(void*, CUdeviceptr, size_t);
int cuMemcpyHtoDAsync_v2(CUdeviceptr, const void*, size_t, Opaque);
int cuMemcpyDtoDAsync_v2(CUdeviceptr, CUdeviceptr, size_t, Opaque);
int cuMemcpyPeerAsync(CUdeviceptr, Opaque, CUdeviceptr, Opaque, size_t, Opaque);
int cuMemsetD8Async(CUdeviceptr, unsigned char, size_t, Opaque);
int cuMemsetD32Async(CUdeviceptr, unsigned, size_t, Opaque);
int cuMemGetInfo_v2(size_t*, size_t*);
int cuModuleLoadData(Opaque*, const void*);
int cuModuleGetFunction(Opaque*, Opaque, const char*);
int cuLaunchKernel(Opaque, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Opaque, void**, void**);
int nvrtcCreateProgram(Opaque*, const char*, const char*, int, const char* const*, const char* const*);
int nvrtcCompileProgram(Opaque, int, const char* const*);
int nvrtcGetPTXSize(Opaque, size_t*);
int nvrtcGetPTX(Opaque, char*);
int nvrtcGetProgramLogSize(Opaque, size_t*);
int nvrtcGetProgramLog(Opaque, char*);
int cudnnCreate(Opaque*);
int cudnnSetStream(Opaque, Opaque);
int cudnnCreateTensorDescriptor(Opaque*);
int cudnnCreateFilterDescriptor(Opaque*);
int cudnnCreateConvolutionDescriptor(Opaque*);
int cudnnSetTensor4dDescriptor(Opaque, int, int, int, int, int, int);
int cudnnSetFilter4dDescriptor(Opaque, int, int, int, int, int, int);
int cudnnSetConvolution2dDescriptor(Opaque, int, int, int, int, int, int, int, int);
int cudnnConvolutionForward(Opaque, const void*, Opaque, const void*, Opaque, const void*, Opaque, int, void*, size_t, const void*, Opaque, void*);
int cudnnConvolutionBackwardData(Opaque, const void*, Opaque, const void*, Opaque, const void*, Opaque, int, void*, size_t, const void*, Opaque, void*);
int cudnnConvolutionBackwardFilter(Opaque, const void*, Opaque, const void*, Opaque, const void*, Opaque, int, void*, size_t, const void*, Opaque, void*);
struct ncclUniqueId { char internal[128]; };
int ncclGetUniqueId(ncclUniqueId*);
int ncclCommInitRank(Opaque*, int, ncclUniqueId, int);
int ncclCommInitAll(Opaque*, int, const int*);
int ncclCommDestroy(Opaque);
int ncclGroupStart();
int ncclGroupEnd();
int ncclAllReduce(const void*, void*, size_t, int, int, Opaque, Opaque);
int cublasCreate_v2(Opaque*);
int cublasSetStream_v2(Opaque, Opaque);
int cublasSgemm_v2(Opaque, int, int, int, int, int, const float*, const float*, int, const float*, int, const float*, float*, int);
}

[[noreturn]] inline void failed(const char* file, int line, const std::string& what) {
  fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  exit(1);
}
#define EQUAL(left, right)                                                                                                      \
  do {                                                                                                                           \
    auto left_ = (left);                                                                                                         \
    auto right_ = (right);                                                                                                       \
    if (!(left_ == right_)) failed(__FILE__, __LINE__, #left " is " + std::to_string(left_) + ", not " + std::to_string(right_)); \
  } while (0)
#define OK(call) EQUAL(call, 0)

// The status of a process of its own that runs `body` (0 if it returns), and what it wrote to stderr.
int apart(const std::function<void()>& body, std::string* text);
// Runs `body` in a process of its own, which must abort with `message` on its stderr.
void aborts(const char* message, const std::function<void()>& body);

struct Machine {
  Opaque contexts[2], stream;
};
Machine open_machine();
Opaque load(const char* source, const char* kernel);
template <class T> CUdeviceptr upload(const std::vector<T>& values) {
  CUdeviceptr pointer;
  OK(cuMemAlloc_v2(&pointer, values.size() * sizeof(T)));
  OK(cuMemcpyHtoD_v2(pointer, values.data(), values.size() * sizeof(T)));
  return pointer;
}
template <class T> std::vector<T> download(CUdeviceptr pointer, size_t count) {
  std::vector<T> values(count);
  OK(cuMemcpyDtoH_v2(values.data(), pointer, count * sizeof(T)));
  return values;
}
template <class... A> int launch(Opaque kernel, unsigned grid, unsigned block, unsigned shared, Opaque stream, A... arguments) {
  void* pointers[] = {&arguments..., nullptr};
  return cuLaunchKernel(kernel, grid, 1, 1, block, 1, 1, shared, stream, pointers, nullptr);
}

void check_kernels(const Machine& machine);
void check_memory(const Machine& machine);
void check_graphs(const Machine& machine);
void check_libraries(const Machine& machine);
void check_convolution(const Machine& machine);
void check_all_reduce(const Machine& machine);
void check_candle(const Machine& machine);
