// Enough of the small floating-point types for candle's kernels to compile; their kernels are not emulated, and none
// of these is called.
#pragma once

struct __half { unsigned short bits; };
struct __nv_bfloat16 { unsigned short bits; };
struct __nv_fp8_e4m3 {
  unsigned char __x;
  template <class T> explicit __nv_fp8_e4m3(T) { emulated_trap("8-bit arithmetic"); }
};
enum { __NV_E4M3 };

inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
[[noreturn]] inline __half __hmax_nan(__half, __half) { emulated_trap("16-bit arithmetic"); }
[[noreturn]] inline __half __hmin_nan(__half, __half) { emulated_trap("16-bit arithmetic"); }
[[noreturn]] inline __half __nv_cvt_fp8_to_halfraw(unsigned char, int) { emulated_trap("8-bit arithmetic"); }
[[noreturn]] inline float __half2float(__half) { emulated_trap("16-bit arithmetic"); }
