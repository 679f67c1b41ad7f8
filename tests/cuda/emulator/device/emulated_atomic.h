// Atomics of CUDA C: other host threads may run kernels on the same memory, so they are atomic here as well.
#pragma once

template <class T, class F> inline T emulated_update(T* address, F next) {
  T old, wanted;
  __atomic_load(address, &old, __ATOMIC_RELAXED);
  do {
    wanted = next(old);
  } while (!__atomic_compare_exchange(address, &old, &wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
  return old;
}

#define EMULATED_ATOMIC(T)                                                                                     \
  inline T atomicAdd(T* address, T value) { return emulated_update(address, [=](T old) { return static_cast<T>(old + value); }); } \
  inline T atomicMax(T* address, T value) { return emulated_update(address, [=](T old) { return old > value ? old : value; }); } \
  inline T atomicMin(T* address, T value) { return emulated_update(address, [=](T old) { return old < value ? old : value; }); } \
  inline T atomicExch(T* address, T value) { return emulated_update(address, [=](T) { return value; }); }       \
  inline T atomicCAS(T* address, T expected, T value) {                                                        \
    return emulated_update(address, [=](T old) { return old == expected ? value : old; });                     \
  }
#define EMULATED_ATOMIC_BITS(T)                                                                                \
  inline T atomicSub(T* address, T value) { return emulated_update(address, [=](T old) { return static_cast<T>(old - value); }); } \
  inline T atomicAnd(T* address, T value) { return emulated_update(address, [=](T old) { return old & value; }); } \
  inline T atomicOr(T* address, T value) { return emulated_update(address, [=](T old) { return old | value; }); } \
  inline T atomicXor(T* address, T value) { return emulated_update(address, [=](T old) { return old ^ value; }); }

EMULATED_ATOMIC(int)
EMULATED_ATOMIC(unsigned)
EMULATED_ATOMIC(long long)
EMULATED_ATOMIC(unsigned long long)
EMULATED_ATOMIC_BITS(int)
EMULATED_ATOMIC_BITS(unsigned)
EMULATED_ATOMIC_BITS(unsigned long long)
inline float atomicAdd(float* address, float value) { return emulated_update(address, [=](float old) { return old + value; }); }
inline float atomicExch(float* address, float value) { return emulated_update(address, [=](float) { return value; }); }
inline unsigned short atomicCAS(unsigned short* address, unsigned short expected, unsigned short value) {
  return emulated_update(address, [=](unsigned short old) { return old == expected ? value : old; });
}
inline unsigned atomicInc(unsigned* address, unsigned limit) { return emulated_update(address, [=](unsigned old) { return old >= limit ? 0 : old + 1; }); }
#if __CUDA_ARCH__ >= 600   // older sources bring their own
inline double atomicAdd(double* address, double value) { return emulated_update(address, [=](double old) { return old + value; }); }
#endif
