// 2-D convolutions and their gradients by plain loops: one multiplication for each pair of an input and an output that
// a weight connects. Sums may be taken in another order (as the real ones are), so that they run in vectors; NaNs stay.
#pragma GCC optimize("O3", "associative-math", "no-signed-zeros", "no-trapping-math")
#include <cstring>

#include "cudnn.h"

void output_size(const Convolution& c, const Tensor& x, const Tensor& w, int size[4]) {
  size[0] = x.size[0];
  size[1] = w.size[0];
  for (int d = 0; d < 2; d++) {
    int reach = (w.size[2 + d] - 1) * c.dilation[d] + 1;
    size[2 + d] = (x.size[2 + d] + 2 * c.pad[d] - reach) / c.stride[d] + 1;
  }
}

cudnnStatus_t check_shapes(const Convolution& c, const Tensor& x, const Tensor& w, const Tensor& y) {
  int size[4];
  if (x.type != w.type || x.type != y.type || x.type != c.type) return BAD_PARAM;
  if (x.type != FLOAT && x.type != DOUBLE) return NOT_SUPPORTED;
  if (c.groups != 1) return NOT_SUPPORTED;
  output_size(c, x, w, size);
  return x.size[1] == w.size[1] && memcmp(size, y.size, sizeof size) == 0 ? SUCCESS : BAD_PARAM;
}

cudnnStatus_t submit_work(Handle* handle, Work work, NodeType type) {
  Context* context;
  if (enter(&context) != CUDA_SUCCESS) return EXECUTION_FAILED;
  if (context != handle->context) emulated_abort("a cuDNN handle of device %d is used while device %d is current", handle->context->device->ordinal, context->device->ordinal);
  return submit(resolve(handle->stream, context), type, std::move(work)) == CUDA_SUCCESS ? SUCCESS : EXECUTION_FAILED;
}

static size_t extent(const Tensor& t) {
  size_t last = 0;
  for (int d = 0; d < 4; d++) last += size_t(t.size[d] - 1) * size_t(t.stride[d]);
  return last + 1;
}

static void check_tensor(const Tensor& t, const void* at, const char* what) {
  check_range(reinterpret_cast<CUdeviceptr>(at), extent(t) * (t.type == FLOAT ? 4 : 8), what);
}

static float round_tf32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  if ((bits & 0x7f800000) != 0x7f800000) bits = (bits + 0x1000) & 0xffffe000;
  memcpy(&value, &bits, 4);
  return value;
}
static double round_tf32(double value) { return value; }

// A tensor packed as N, H, W, C (a filter as K, H, W, C): the innermost loops then run over neighbours.
template <class T> struct Packed {
  int n, c, h, w;
  std::vector<T> values;
  explicit Packed(const Tensor& t) : n(t.size[0]), c(t.size[1]), h(t.size[2]), w(t.size[3]), values(size_t(n) * c * h * w) {}
  T* at(int i, int y, int x) { return &values[((size_t(i) * h + y) * w + x) * c]; }
};

template <class T, class F> static void each(const Tensor& t, Packed<T>& packed, T* memory, F f) {
  for (int n = 0; n < packed.n; n++) {
    for (int y = 0; y < packed.h; y++) {
      for (int x = 0; x < packed.w; x++) {
        T* values = packed.at(n, y, x);
        for (int c = 0; c < packed.c; c++) f(values[c], memory[size_t(n) * t.stride[0] + size_t(c) * t.stride[1] + size_t(y) * t.stride[2] + size_t(x) * t.stride[3]]);
      }
    }
  }
}

template <class T> static Packed<T> read(const Tensor& t, const void* memory, bool tf32) {
  Packed<T> packed(t);
  each(t, packed, static_cast<T*>(const_cast<void*>(memory)), [=](T& value, T& from) { value = tf32 ? round_tf32(from) : from; });
  return packed;
}

template <class T> static void write(const Tensor& t, Packed<T>& packed, void* memory, T alpha, T beta) {
  each(t, packed, static_cast<T*>(memory), [=](T& value, T& to) { to = beta == T(0) ? alpha * value : alpha * value + beta * to; });
}

// Adds for one output pixel and one position of the filter. x and w run over input channels, y over output channels.
template <class T> static void connect(Pass pass, T* x, T* w, T* y, size_t filter_stride, int channels, int outputs) {
  for (int k = 0; k < outputs; k++) {
    T* weight = w + size_t(k) * filter_stride;
    if (pass == Pass::Forward) {
      T sum = 0;
      for (int c = 0; c < channels; c++) sum += x[c] * weight[c];
      y[k] += sum;
    } else if (pass == Pass::Data) {
      for (int c = 0; c < channels; c++) x[c] += y[k] * weight[c];
    } else {
      for (int c = 0; c < channels; c++) weight[c] += y[k] * x[c];
    }
  }
}

template <class T> static void run_pass(Pass pass, const Convolution& conv, Packed<T>& x, Packed<T>& w, Packed<T>& y) {
  for (int n = 0; n < y.n; n++) {
    for (int oy = 0; oy < y.h; oy++) {
      for (int ox = 0; ox < y.w; ox++) {
        for (int fy = 0; fy < w.h; fy++) {
          for (int fx = 0; fx < w.w; fx++) {
            int iy = oy * conv.stride[0] - conv.pad[0] + fy * conv.dilation[0], ix = ox * conv.stride[1] - conv.pad[1] + fx * conv.dilation[1];
            if (iy < 0 || iy >= x.h || ix < 0 || ix >= x.w) continue;
            bool flip = conv.mode != CROSS_CORRELATION;
            T* weights = w.at(0, flip ? w.h - 1 - fy : fy, flip ? w.w - 1 - fx : fx);
            connect(pass, x.at(n, iy, ix), weights, y.at(n, oy, ox), size_t(w.h) * w.w * w.c, w.c, w.n);
          }
        }
      }
    }
  }
}

template <class T> static T factor(const void* value) { return *static_cast<const T*>(value); }

template <class T>
static Work work_of(Pass pass, Convolution conv, Tensor x, const void* px, Tensor w, const void* pw, Tensor y, const void* py, T alpha, T beta) {
  // Only FMA arithmetic keeps f32; the default of current devices is TF32.
  bool tf32 = conv.math != FMA_MATH;
  return [=] {
    check_tensor(x, px, "cuDNN convolution, x");
    check_tensor(w, pw, "cuDNN convolution, w");
    check_tensor(y, py, "cuDNN convolution, y");
    Packed<T> xs = pass == Pass::Data ? Packed<T>(x) : read<T>(x, px, tf32), ws = pass == Pass::Filter ? Packed<T>(w) : read<T>(w, pw, tf32);
    Packed<T> ys = pass == Pass::Forward ? Packed<T>(y) : read<T>(y, py, tf32);
    run_pass(pass, conv, xs, ws, ys);
    if (pass == Pass::Forward) write(y, ys, const_cast<void*>(py), alpha, beta);
    if (pass == Pass::Data) write(x, xs, const_cast<void*>(px), alpha, beta);
    if (pass == Pass::Filter) write(w, ws, const_cast<void*>(pw), alpha, beta);
    return CUDA_SUCCESS;
  };
}

cudnnStatus_t convolve(Handle* handle, Pass pass, const Convolution& c, const Tensor& x, const void* px, const Tensor& w, const void* pw, const Tensor& y,
                       const void* py, const void* alpha, const void* beta) {
  cudnnStatus_t status = check_shapes(c, x, w, y);
  if (status != SUCCESS) return status;
  if (x.type == FLOAT) return submit_work(handle, work_of<float>(pass, c, x, px, w, pw, y, py, factor<float>(alpha), factor<float>(beta)));
  return submit_work(handle, work_of<double>(pass, c, x, px, w, pw, y, py, factor<double>(alpha), factor<double>(beta)));
}

template <class T> static Work sum_work(Tensor dy, const void* pdy, Tensor db, void* pdb, T alpha, T beta) {
  return [=] {
    check_tensor(dy, pdy, "cuDNN bias gradient, dy");
    check_tensor(db, pdb, "cuDNN bias gradient, db");
    Packed<T> from = read<T>(dy, pdy, false), sums(db);
    for (size_t i = 0; i < from.values.size(); i++) sums.values[i % size_t(from.c)] += from.values[i];
    write(db, sums, pdb, alpha, beta);
    return CUDA_SUCCESS;
  };
}

cudnnStatus_t sum_channels(Handle* handle, const Tensor& dy, const void* pdy, const Tensor& db, void* pdb, const void* alpha, const void* beta) {
  if (db.size[1] != dy.size[1] || db.size[0] * db.size[2] * db.size[3] != 1) return BAD_PARAM;
  if (dy.type == FLOAT) return submit_work(handle, sum_work<float>(dy, pdy, db, pdb, factor<float>(alpha), factor<float>(beta)));
  return submit_work(handle, sum_work<double>(dy, pdy, db, pdb, factor<double>(alpha), factor<double>(beta)));
}

template <class T> static Work bias_work(Tensor bias, const void* pbias, Tensor y, void* py, bool relu) {
  return [=] {
    check_tensor(bias, pbias, "cuDNN bias");
    Packed<T> values = read<T>(y, py, false), add = read<T>(bias, pbias, false);
    for (size_t i = 0; i < values.values.size(); i++) {
      T value = values.values[i] + add.values[i % size_t(values.c)];
      values.values[i] = relu && value < 0 ? T(0) : value;
    }
    write(y, values, py, T(1), T(0));
    return CUDA_SUCCESS;
  };
}

cudnnStatus_t add_bias(Handle* handle, const Tensor& bias, const void* pbias, const Tensor& y, void* py, bool relu) {
  if (bias.size[1] != y.size[1] || bias.size[0] * bias.size[2] * bias.size[3] != 1) return BAD_PARAM;
  return submit_work(handle, y.type == FLOAT ? bias_work<float>(bias, pbias, y, py, relu) : bias_work<double>(bias, pbias, y, py, relu));
}

bool is_zero(const Tensor& y, const void* value) { return y.type == FLOAT ? factor<float>(value) == 0 : factor<double>(value) == 0; }
