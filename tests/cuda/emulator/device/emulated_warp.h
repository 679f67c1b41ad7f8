// Barriers, shuffles and votes of CUDA C.
#pragma once

inline void __syncthreads() { emulated_syncthreads(); }
inline int __syncthreads_count(int predicate) { return emulated_syncthreads_count(predicate); }
inline int __syncthreads_or(int predicate) { return emulated_syncthreads_count(predicate) > 0; }
inline int __syncthreads_and(int predicate) { return emulated_syncthreads_count(!predicate) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulated_syncwarp(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline unsigned __activemask() { return emulated_active(); }
[[noreturn]] inline void __trap() { emulated_trap("__trap"); }
#define assert(condition) ((condition) ? (void)0 : emulated_trap("assert: " #condition))

template <class T> inline T emulated_shuffle(unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  unsigned long long bits = 0, all[32];
  unsigned present;
  std::memcpy(&bits, &value, sizeof(T));
  emulated_exchange(mask, bits, all, &present);
  std::memcpy(&value, &all[source & 31], sizeof(T));
  return value;
}
template <class T> inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  int lane = emulated_lane();
  return emulated_shuffle(mask, value, (lane & ~(width - 1)) | (source & (width - 1)));
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  int lane = emulated_lane(), source = lane ^ bits;
  return emulated_shuffle(mask, value, source < (lane & ~(width - 1)) + width ? source : lane);
}
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  int lane = emulated_lane(), source = lane + static_cast<int>(delta);
  return emulated_shuffle(mask, value, source < (lane & ~(width - 1)) + width ? source : lane);
}
template <class T> inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  int lane = emulated_lane(), source = lane - static_cast<int>(delta);
  return emulated_shuffle(mask, value, source >= (lane & ~(width - 1)) ? source : lane);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  unsigned long long all[32];
  unsigned present, votes = 0;
  emulated_exchange(mask, predicate != 0, all, &present);
  for (int lane = 0; lane < 32; lane++) votes |= (present >> lane & 1 && all[lane]) << lane;
  return votes;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }
template <class T, class F> inline T emulated_warp_fold(unsigned mask, T value, F fold) {
  unsigned long long all[32];
  unsigned present;
  emulated_exchange(mask, static_cast<unsigned long long>(value), all, &present);
  bool first = true;
  for (int lane = 0; lane < 32; lane++) {
    if (!(present >> lane & 1)) continue;
    value = first ? static_cast<T>(all[lane]) : fold(value, static_cast<T>(all[lane]));
    first = false;
  }
  return value;
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value) { return emulated_warp_fold(mask, value, [](unsigned a, unsigned b) { return a + b; }); }
inline int __reduce_add_sync(unsigned mask, int value) { return emulated_warp_fold(mask, value, [](int a, int b) { return a + b; }); }
inline unsigned __reduce_max_sync(unsigned mask, unsigned value) { return emulated_warp_fold(mask, value, [](unsigned a, unsigned b) { return a > b ? a : b; }); }
inline unsigned __reduce_min_sync(unsigned mask, unsigned value) { return emulated_warp_fold(mask, value, [](unsigned a, unsigned b) { return a < b ? a : b; }); }
