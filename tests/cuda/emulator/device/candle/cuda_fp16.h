// Enough of the 16-bit types for candle's kernels to compile; no kernel of a 16-bit type is instantiated.
#pragma once

struct __half { unsigned short bits; };
struct __nv_bfloat16 { unsigned short bits; };
inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
[[noreturn]] inline __half __hmax_nan(__half, __half) { emulated_trap("16-bit arithmetic"); }
[[noreturn]] inline __half __hmin_nan(__half, __half) { emulated_trap("16-bit arithmetic"); }
