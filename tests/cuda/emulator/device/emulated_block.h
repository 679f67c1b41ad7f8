// What kernels and the driver share: where a thread stands in its block and grid, and the calls of a block.
#pragma once

#include <cstddef>

struct EmulatedIndex { unsigned x, y, z; };
struct EmulatedBlock { EmulatedIndex index, dim, grid; };
struct EmulatedThread { EmulatedIndex thread; EmulatedBlock* block; };

struct EmulatedKernel {
  const char* name;
  void (*call)(void** arguments);
  unsigned parameters;
  const size_t* sizes;       // of the parameters
  unsigned max_threads;      // of a block, by __launch_bounds__
};

extern "C" {
extern __thread EmulatedThread* emulated_thread __attribute__((tls_model("initial-exec")));
void emulated_syncthreads();
int emulated_syncthreads_count(int predicate);
void emulated_syncwarp(unsigned mask);
// Gives `value` to the lanes of `mask`, and copies the values of all 32 lanes (all ones where there is none).
void emulated_exchange(unsigned mask, unsigned long long value, unsigned long long all[32], unsigned* present);
unsigned emulated_lane();
unsigned emulated_active();
void* emulated_dynamic_shared();
[[noreturn]] void emulated_trap(const char* what);
}
