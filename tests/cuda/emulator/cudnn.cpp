// cuDNN's legacy interface, as far as 2-D convolutions need it: descriptors, choice of an algorithm, workspaces and
// the calls. The arithmetic is in convolution.cpp.
#include <cstring>

#include "cudnn.h"

// Every algorithm gives the same result; two are offered, and the second wants a workspace, so that both cases run.
static const size_t kWorkspace = 1 << 16;

struct AlgoPerf {
  int algorithm;
  cudnnStatus_t status;
  float time;
  size_t memory;
  int determinism, math;
  int reserved[3];
};

EXPORT size_t cudnnGetVersion() { return 92100; }
EXPORT size_t cudnnGetCudartVersion() { return 13000; }
EXPORT cudnnStatus_t cudnnGetProperty(int type, int* value) { *value = type == 0 ? 9 : type == 1 ? 21 : 0; return SUCCESS; }
EXPORT cudnnStatus_t cudnnAdvVersionCheck() { return SUCCESS; }
EXPORT cudnnStatus_t cudnnCnnVersionCheck() { return SUCCESS; }
EXPORT cudnnStatus_t cudnnOpsVersionCheck() { return SUCCESS; }
EXPORT cudnnStatus_t cudnnGraphVersionCheck() { return SUCCESS; }

EXPORT const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "CUDNN_STATUS";
  }
}
EXPORT void cudnnGetLastErrorString(char* text, size_t size) { if (size) *text = 0; }

EXPORT cudnnStatus_t cudnnCreate(Handle** out) {
  Context* context;
  if (enter(&context) != CUDA_SUCCESS) return NOT_INITIALIZED;
  *out = new Handle{context, nullptr};
  return SUCCESS;
}
EXPORT cudnnStatus_t cudnnDestroy(Handle* handle) { delete handle; return SUCCESS; }
EXPORT cudnnStatus_t cudnnSetStream(Handle* handle, void* stream) { handle->stream = stream; return SUCCESS; }
EXPORT cudnnStatus_t cudnnGetStream(Handle* handle, void** stream) { *stream = handle->stream; return SUCCESS; }

EXPORT cudnnStatus_t cudnnCreateTensorDescriptor(Tensor** out) { *out = new Tensor(); return SUCCESS; }
EXPORT cudnnStatus_t cudnnDestroyTensorDescriptor(Tensor* tensor) { delete tensor; return SUCCESS; }
EXPORT cudnnStatus_t cudnnCreateFilterDescriptor(Tensor** out) { *out = new Tensor(); return SUCCESS; }
EXPORT cudnnStatus_t cudnnDestroyFilterDescriptor(Tensor* filter) { delete filter; return SUCCESS; }
EXPORT cudnnStatus_t cudnnCreateConvolutionDescriptor(Convolution** out) { *out = new Convolution(); return SUCCESS; }
EXPORT cudnnStatus_t cudnnDestroyConvolutionDescriptor(Convolution* convolution) { delete convolution; return SUCCESS; }
EXPORT cudnnStatus_t cudnnCreateActivationDescriptor(Activation** out) { *out = new Activation(); return SUCCESS; }
EXPORT cudnnStatus_t cudnnDestroyActivationDescriptor(Activation* activation) { delete activation; return SUCCESS; }

EXPORT cudnnStatus_t cudnnSetTensor4dDescriptorEx(Tensor* t, int type, int n, int c, int h, int w, int sn, int sc, int sh, int sw) {
  if (n < 1 || c < 1 || h < 1 || w < 1) return BAD_PARAM;
  *t = {type, {n, c, h, w}, {sn, sc, sh, sw}};
  return SUCCESS;
}
EXPORT cudnnStatus_t cudnnSetTensor4dDescriptor(Tensor* t, int format, int type, int n, int c, int h, int w) {
  if (format == NHWC) return cudnnSetTensor4dDescriptorEx(t, type, n, c, h, w, h * w * c, 1, w * c, c);
  if (format == NCHW) return cudnnSetTensor4dDescriptorEx(t, type, n, c, h, w, c * h * w, h * w, w, 1);
  return NOT_SUPPORTED;
}
EXPORT cudnnStatus_t cudnnSetTensorNdDescriptor(Tensor* t, int type, int dims, const int* size, const int* stride) {
  if (dims != 4) return NOT_SUPPORTED;
  return cudnnSetTensor4dDescriptorEx(t, type, size[0], size[1], size[2], size[3], stride[0], stride[1], stride[2], stride[3]);
}
EXPORT cudnnStatus_t cudnnSetTensorNdDescriptorEx(Tensor* t, int format, int type, int dims, const int* size) {
  return dims == 4 ? cudnnSetTensor4dDescriptor(t, format, type, size[0], size[1], size[2], size[3]) : NOT_SUPPORTED;
}
EXPORT cudnnStatus_t cudnnSetFilter4dDescriptor(Tensor* f, int type, int format, int k, int c, int h, int w) {
  return cudnnSetTensor4dDescriptor(f, format, type, k, c, h, w);
}
EXPORT cudnnStatus_t cudnnSetFilterNdDescriptor(Tensor* f, int type, int format, int dims, const int* size) {
  return cudnnSetTensorNdDescriptorEx(f, format, type, dims, size);
}

EXPORT cudnnStatus_t cudnnSetConvolution2dDescriptor(Convolution* c, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h, int dilation_w,
                                                     int mode, int type) {
  if (pad_h < 0 || pad_w < 0 || stride_h < 1 || stride_w < 1 || dilation_h < 1 || dilation_w < 1) return BAD_PARAM;
  *c = {{pad_h, pad_w}, {stride_h, stride_w}, {dilation_h, dilation_w}, mode, type, 1, 0};
  return SUCCESS;
}
EXPORT cudnnStatus_t cudnnSetConvolutionNdDescriptor(Convolution* c, int dims, const int* pad, const int* stride, const int* dilation, int mode, int type) {
  if (dims != 2) return NOT_SUPPORTED;
  return cudnnSetConvolution2dDescriptor(c, pad[0], pad[1], stride[0], stride[1], dilation[0], dilation[1], mode, type);
}
EXPORT cudnnStatus_t cudnnSetConvolutionMathType(Convolution* c, int math) { c->math = math; return SUCCESS; }
EXPORT cudnnStatus_t cudnnGetConvolutionMathType(Convolution* c, int* math) { *math = c->math; return SUCCESS; }
EXPORT cudnnStatus_t cudnnSetConvolutionGroupCount(Convolution* c, int groups) { c->groups = groups; return SUCCESS; }
EXPORT cudnnStatus_t cudnnSetConvolutionReorderType(Convolution*, int) { return SUCCESS; }
EXPORT cudnnStatus_t cudnnSetActivationDescriptor(Activation* a, int mode, int, double limit) { *a = {mode, limit}; return SUCCESS; }

EXPORT cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(Convolution* c, Tensor* x, Tensor* w, int* n, int* channels, int* height, int* width) {
  int size[4];
  output_size(*c, *x, *w, size);
  *n = size[0], *channels = size[1], *height = size[2], *width = size[3];
  return SUCCESS;
}

// The three passes differ in which of x, w, y is written; what must fit is the same.
static cudnnStatus_t offer(const Convolution* c, const Tensor* x, const Tensor* w, const Tensor* y, int requested, int* returned, AlgoPerf* perf) {
  cudnnStatus_t status = check_shapes(*c, *x, *w, *y);
  if (status != SUCCESS) return status;
  if (requested < 1) return BAD_PARAM;
  *returned = std::min(requested, 2);
  for (int i = 0; i < *returned; i++) perf[i] = {i == 0 ? 1 : 0, SUCCESS, 0.1f * float(i + 1), i == 0 ? kWorkspace : 0, 1, c->math, {}};
  return SUCCESS;
}
static cudnnStatus_t workspace(const Convolution* c, const Tensor* x, const Tensor* w, const Tensor* y, int algorithm, size_t* bytes) {
  *bytes = algorithm == 1 ? kWorkspace : 0;
  return check_shapes(*c, *x, *w, *y);
}
// All bytes of a workspace are overwritten: what lies in it is lost, as with the real one.
static cudnnStatus_t use_workspace(Handle* handle, int algorithm, void* memory, size_t bytes) {
  if (algorithm != 1) return SUCCESS;
  if (!memory || bytes < kWorkspace) return BAD_PARAM;
  return submit_work(handle, [=] {
    check_range(reinterpret_cast<CUdeviceptr>(memory), bytes, "cuDNN workspace");
    memset(memory, 0xff, kWorkspace);
    return CUDA_SUCCESS;
  }, NodeType::Memset);
}

EXPORT cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(Handle*, Tensor* x, Tensor* w, Convolution* c, Tensor* y, int n, int* got, AlgoPerf* perf) {
  return offer(c, x, w, y, n, got, perf);
}
EXPORT cudnnStatus_t cudnnFindConvolutionForwardAlgorithm(Handle*, Tensor* x, Tensor* w, Convolution* c, Tensor* y, int n, int* got, AlgoPerf* perf) {
  return offer(c, x, w, y, n, got, perf);
}
EXPORT cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(Handle*, Tensor* x, void*, Tensor* w, void*, Convolution* c, Tensor* y, void*, int n, int* got,
                                                            AlgoPerf* perf, void*, size_t) {
  return offer(c, x, w, y, n, got, perf);
}
EXPORT cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(Handle*, Tensor* w, Tensor* dy, Convolution* c, Tensor* dx, int n, int* got, AlgoPerf* perf) {
  return offer(c, dx, w, dy, n, got, perf);
}
EXPORT cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithm(Handle*, Tensor* w, Tensor* dy, Convolution* c, Tensor* dx, int n, int* got, AlgoPerf* perf) {
  return offer(c, dx, w, dy, n, got, perf);
}
EXPORT cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(Handle*, Tensor* w, void*, Tensor* dy, void*, Convolution* c, Tensor* dx, void*, int n,
                                                                 int* got, AlgoPerf* perf, void*, size_t) {
  return offer(c, dx, w, dy, n, got, perf);
}
EXPORT cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(Handle*, Tensor* x, Tensor* dy, Convolution* c, Tensor* dw, int n, int* got, AlgoPerf* perf) {
  return offer(c, x, dw, dy, n, got, perf);
}
EXPORT cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithm(Handle*, Tensor* x, Tensor* dy, Convolution* c, Tensor* dw, int n, int* got, AlgoPerf* perf) {
  return offer(c, x, dw, dy, n, got, perf);
}
EXPORT cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(Handle*, Tensor* x, void*, Tensor* dy, void*, Convolution* c, Tensor* dw, void*, int n,
                                                                   int* got, AlgoPerf* perf, void*, size_t) {
  return offer(c, x, dw, dy, n, got, perf);
}
EXPORT cudnnStatus_t cudnnGetConvolutionForwardAlgorithmMaxCount(Handle*, int* count) { *count = 2; return SUCCESS; }
EXPORT cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithmMaxCount(Handle*, int* count) { *count = 2; return SUCCESS; }
EXPORT cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(Handle*, int* count) { *count = 2; return SUCCESS; }

EXPORT cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(Handle*, Tensor* x, Tensor* w, Convolution* c, Tensor* y, int algorithm, size_t* bytes) {
  return workspace(c, x, w, y, algorithm, bytes);
}
EXPORT cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(Handle*, Tensor* w, Tensor* dy, Convolution* c, Tensor* dx, int algorithm, size_t* bytes) {
  return workspace(c, dx, w, dy, algorithm, bytes);
}
EXPORT cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(Handle*, Tensor* x, Tensor* dy, Convolution* c, Tensor* dw, int algorithm, size_t* bytes) {
  return workspace(c, x, dw, dy, algorithm, bytes);
}

EXPORT cudnnStatus_t cudnnConvolutionForward(Handle* handle, const void* alpha, Tensor* x, const void* px, Tensor* w, const void* pw, Convolution* c,
                                             int algorithm, void* memory, size_t bytes, const void* beta, Tensor* y, void* py) {
  cudnnStatus_t status = use_workspace(handle, algorithm, memory, bytes);
  return status ? status : convolve(handle, Pass::Forward, *c, *x, px, *w, pw, *y, py, alpha, beta);
}
EXPORT cudnnStatus_t cudnnConvolutionBackwardData(Handle* handle, const void* alpha, Tensor* w, const void* pw, Tensor* dy, const void* pdy, Convolution* c,
                                                  int algorithm, void* memory, size_t bytes, const void* beta, Tensor* dx, void* pdx) {
  cudnnStatus_t status = use_workspace(handle, algorithm, memory, bytes);
  return status ? status : convolve(handle, Pass::Data, *c, *dx, pdx, *w, pw, *dy, pdy, alpha, beta);
}
EXPORT cudnnStatus_t cudnnConvolutionBackwardFilter(Handle* handle, const void* alpha, Tensor* x, const void* px, Tensor* dy, const void* pdy, Convolution* c,
                                                    int algorithm, void* memory, size_t bytes, const void* beta, Tensor* dw, void* pdw) {
  cudnnStatus_t status = use_workspace(handle, algorithm, memory, bytes);
  return status ? status : convolve(handle, Pass::Filter, *c, *x, px, *dw, pdw, *dy, pdy, alpha, beta);
}
EXPORT cudnnStatus_t cudnnConvolutionBackwardBias(Handle* handle, const void* alpha, Tensor* dy, const void* pdy, const void* beta, Tensor* db, void* pdb) {
  return sum_channels(handle, *dy, pdy, *db, pdb, alpha, beta);
}
// y = activation(alpha1 conv(x) + alpha2 z + bias)
EXPORT cudnnStatus_t cudnnConvolutionBiasActivationForward(Handle* handle, const void* alpha1, Tensor* x, const void* px, Tensor* w, const void* pw,
                                                           Convolution* c, int algorithm, void* memory, size_t bytes, const void* alpha2, Tensor* z,
                                                           const void* pz, Tensor* bias, const void* pbias, Activation* activation, Tensor* y, void* py) {
  if (activation->mode != RELU && activation->mode != IDENTITY) return NOT_SUPPORTED;
  if (memcmp(z, y, sizeof *z) != 0 || pz != py) {
    if (!is_zero(*y, alpha2)) return NOT_SUPPORTED;
  }
  cudnnStatus_t status = use_workspace(handle, algorithm, memory, bytes);
  if (!status) status = convolve(handle, Pass::Forward, *c, *x, px, *w, pw, *y, py, alpha1, alpha2);
  return status ? status : add_bias(handle, *bias, pbias, *y, py, activation->mode == RELU);
}
