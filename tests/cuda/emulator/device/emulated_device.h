// What a kernel sees before its own first line: CUDA C's words for g++. One thread of a block at a time runs on
// the host thread that launched; emulated_thread says which. Barriers and warp operations are calls into libcuda.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __inline__ inline
#define __constant__
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))

struct uint3 { unsigned x, y, z; };
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#include "emulated_block.h"

#define threadIdx (emulated_thread->thread)
#define blockIdx (emulated_thread->block->index)
#define blockDim (emulated_thread->block->dim)
#define gridDim (emulated_thread->block->grid)
#define warpSize 32

#include "emulated_math.h"
#include "emulated_warp.h"
#include "emulated_atomic.h"

// The table by which the driver finds the kernels of a module; filled at the end of the source.
template <class F> struct EmulatedCall;
template <class... A> struct EmulatedCall<void (*)(A...)> {
  static constexpr unsigned count = sizeof...(A);
  static inline const size_t sizes[sizeof...(A) + 1] = {sizeof(A)..., 0};
  template <void (*F)(A...)> static void call(void** arguments) { apply<F>(arguments, std::index_sequence_for<A...>()); }
  template <void (*F)(A...), size_t... I> static void apply(void** arguments, std::index_sequence<I...>) {
    F(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
  }
};
constexpr unsigned emulated_bound(unsigned threads = 1024, unsigned = 0, unsigned = 0) { return threads; }
