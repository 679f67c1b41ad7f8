// What cuDNN's calls (cudnn.cpp) and their arithmetic (convolution.cpp) share.
#pragma once

#include "machine.h"

typedef int cudnnStatus_t;
enum : cudnnStatus_t { SUCCESS = 0, NOT_INITIALIZED = 1001, BAD_PARAM = 2000, NOT_SUPPORTED = 3000, EXECUTION_FAILED = 5000 };
enum { FLOAT = 0, DOUBLE = 1 };
enum { NCHW = 0, NHWC = 1 };
enum { CROSS_CORRELATION = 1 };
enum { RELU = 1, IDENTITY = 5 };
enum { DEFAULT_MATH = 0, FMA_MATH = 3 };

struct Handle {
  Context* context;
  void* stream;
};
// A tensor, or a filter (K, C, H, W).
struct Tensor {
  int type, size[4], stride[4];
};
struct Convolution {
  int pad[2], stride[2], dilation[2], mode, type, groups, math;
};
struct Activation {
  int mode;
  double limit;
};
enum class Pass { Forward, Data, Filter };

void output_size(const Convolution& c, const Tensor& x, const Tensor& w, int size[4]);
cudnnStatus_t check_shapes(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& y);
cudnnStatus_t submit_work(Handle* handle, Work work, NodeType type = NodeType::Kernel);
cudnnStatus_t convolve(Handle* handle, Pass pass, const Convolution& c, const Tensor& x, const void* px, const Tensor& w, const void* pw, const Tensor& y,
                       const void* py, const void* alpha, const void* beta);
cudnnStatus_t sum_channels(Handle* handle, const Tensor& dy, const void* pdy, const Tensor& db, void* pdb, const void* alpha, const void* beta);
cudnnStatus_t add_bias(Handle* handle, const Tensor& bias, const void* pbias, const Tensor& y, void* py, bool relu);
bool is_zero(const Tensor& y, const void* factor);
