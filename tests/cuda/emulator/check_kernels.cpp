// Kernels: indices, shared memory, barriers, warp operations, atomics; and that broken ones are found.
#include "check.h"

static const char* kSource = R"(
extern __shared__ float2 room[];
__device__ void keep(float value) { room->x = value; float* at = &room->y; *at = value + 1; }
extern "C" __global__ void through_room(float* out) { keep(*out); out[1] = room[0].x + reinterpret_cast<float*>(room)[1]; }
template <typename T> __device__ T twice(T value) { return value + value; }
extern "C" __global__ void __launch_bounds__(256) scale(const float* __restrict__ in, float4* out, int n, float factor) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n / 4) out[i] = make_float4(in[4 * i] * factor, __ldg(in + 4 * i + 1) * FACTOR, twice(in[4 * i + 2]), rsqrtf(4.0f));
}
extern "C" __global__ void sum(const float* in, float* out, double* total, int n) {
  __shared__ float warps[32];
  float value = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) value += in[i];
  for (int d = 16; d > 0; d >>= 1) value += __shfl_down_sync(0xffffffffu, value, d);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  value = threadIdx.x < blockDim.x / 32 ? warps[threadIdx.x] : 0.0f;
  for (int d = 16; d > 0; d >>= 1) value += __shfl_xor_sync(0xffffffffu, value, d);
  if (threadIdx.x == 0) { out[blockIdx.x] = value; atomicAdd(total, (double)value); }
}
extern "C" __global__ void reverse(int* data) {
  extern __shared__ int copy[];
  copy[threadIdx.x] = data[threadIdx.x];
  __syncthreads();
  data[threadIdx.x] = copy[blockDim.x - 1 - threadIdx.x] + 100 * __popc(__ballot_sync(0xffffffffu, threadIdx.x % 2));
}
extern "C" __global__ void half_barrier(int* data) {
  if (threadIdx.x < 20) __syncthreads();
  data[0] = 1;
}
extern "C" __global__ void overrun(int* data, int n) { data[n] = 1; }
extern "C" __global__ void deep(int* data) {
  extern __shared__ int copy[];
  copy[blockDim.x + threadIdx.x] = data[0];
}
)";

void check_kernels(const Machine& machine) {
  std::vector<float> values(1024);
  for (size_t i = 0; i < values.size(); i++) values[i] = float(i);
  CUdeviceptr in = upload(values), out = upload(std::vector<float>(1024)), total = upload(std::vector<double>(1));
  OK(launch(load(kSource, "scale"), 1, 256, 0, machine.stream, in, out, 1024, 0.5f));
  std::vector<float> scaled = download<float>(out, 1024);
  EQUAL(scaled[4], 2.0f);
  EQUAL(scaled[1021], 3063.0f);
  EQUAL(scaled[1022], 2044.0f);
  EQUAL(scaled[7], 0.5f);
  EQUAL(launch(load(kSource, "scale"), 1, 512, 0, machine.stream, in, out, 1024, 0.5f), 1);       // more than its launch bound

  OK(launch(load(kSource, "sum"), 3, 128, 0, machine.stream, in, out, total, 1024));
  EQUAL(download<float>(out, 3)[2], 523776.0f);
  EQUAL(download<double>(total, 1)[0], 3 * 523776.0);

  CUdeviceptr data = upload(std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31});
  OK(launch(load(kSource, "reverse"), 1, 32, 128, machine.stream, data));
  EQUAL(download<int>(data, 32)[1], 1630);
  EQUAL(launch(load(kSource, "reverse"), 1, 32, 50000, machine.stream, data), 1);

  OK(launch(load(kSource, "through_room"), 1, 1, 8, machine.stream, out));
  EQUAL(download<float>(out, 2)[1], 2 * 523776.0f + 1);

  aborts("20 of 32 threads wait at __syncthreads() and 12 have returned", [&] { launch(load(kSource, "half_barrier"), 1, 32, 0, machine.stream, data); });
  aborts("kernel overrun: thread (0, 0, 0)", [&] { launch(load(kSource, "overrun"), 1, 1, 0, machine.stream, data, 32); });
  aborts("an allocation of 128 bytes on device 0, offset 128", [&] { launch(load(kSource, "overrun"), 1, 1, 0, machine.stream, data, 32); });
  aborts("kernel deep", [&] { launch(load(kSource, "deep"), 1, 32, 128, machine.stream, data); });
  aborts("outside of it", [&] {
    launch(load(kSource, "overrun"), 1, 1, 0, machine.stream, data, -1);
    cuMemFree_v2(data);
  });

  Opaque program;
  OK(nvrtcCreateProgram(&program, "extern \"C\" __global__ void k() { nonsense(); }", "bad.cu", 0, nullptr, nullptr));
  EQUAL(nvrtcCompileProgram(program, 0, nullptr), 6);
  OK(nvrtcCreateProgram(&program, "#include <stdio.h>\n", "host.cu", 0, nullptr, nullptr));
  EQUAL(nvrtcCompileProgram(program, 0, nullptr), 6);
}
