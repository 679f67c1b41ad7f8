// cuBLAS: matrix products in column-major order by plain loops. Where TF32 is allowed, factors are rounded to it, so
// that a test sees whether it was.
#include <cstring>

#include "machine.h"

typedef int cublasStatus_t;
enum : cublasStatus_t { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Type { R_32F = 0, R_64F = 1 };
enum Compute { COMPUTE_32F = 68, COMPUTE_32F_PEDANTIC = 69, COMPUTE_64F = 70, COMPUTE_64F_PEDANTIC = 71, COMPUTE_32F_FAST_TF32 = 77 };

struct Handle {
  Context* context;
  void* stream = nullptr;
  int math = 0, pointers = 0;
  void* workspace = nullptr;
  size_t workspace_bytes = 0;
};

// One matrix of a batch: where it starts, how far the next is, and its shape as it lies in memory.
struct Matrix {
  CUdeviceptr at;
  long long stride;
  int rows, columns, leading;
};

template <class T> struct Product {
  bool transpose_a, transpose_b, tf32;
  int m, n, k, batch;
  T alpha, beta;
  Matrix a, b, c;
};

static float round_tf32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  if ((bits & 0x7f800000) != 0x7f800000) bits = (bits + 0x1000) & 0xffffe000;
  memcpy(&value, &bits, 4);
  return value;
}
static double round_tf32(double value) { return value; }

// op(M) packed in columns, so that the inner loop of the product runs over neighbours.
template <class T> static std::vector<T> pack(const T* from, const Matrix& shape, bool transpose, int rows, int columns, bool tf32) {
  std::vector<T> packed(size_t(rows) * columns);
  for (int j = 0; j < columns; j++) {
    for (int i = 0; i < rows; i++) {
      T value = transpose ? from[size_t(i) * shape.leading + j] : from[size_t(j) * shape.leading + i];
      packed[size_t(j) * rows + i] = tf32 ? round_tf32(value) : value;
    }
  }
  return packed;
}

template <class T> static void one_product(const Product<T>& p, const T* a, const T* b, T* c) {
  std::vector<T> left = pack(a, p.a, p.transpose_a, p.m, p.k, p.tf32), right = pack(b, p.b, p.transpose_b, p.k, p.n, p.tf32);
  // Four columns of the result at a time: each number of the left matrix is read once for all of them.
  constexpr int WIDE = 4;
  std::vector<T> sums(size_t(p.m) * WIDE);
  for (int first = 0; first < p.n; first += WIDE) {
    int columns = std::min(WIDE, p.n - first);
    std::fill(sums.begin(), sums.end(), T(0));
    for (int l = 0; l < p.k; l++) {
      const T* column = &left[size_t(l) * p.m];
      T factors[WIDE] = {};
      for (int j = 0; j < columns; j++) factors[j] = right[size_t(first + j) * p.k + l];
      T *__restrict s0 = sums.data(), *__restrict s1 = s0 + p.m, *__restrict s2 = s1 + p.m, *__restrict s3 = s2 + p.m;
      for (int i = 0; i < p.m; i++) {
        T value = column[i];
        s0[i] += value * factors[0], s1[i] += value * factors[1], s2[i] += value * factors[2], s3[i] += value * factors[3];
      }
    }
    for (int j = 0; j < columns; j++) {
      const T* sum = &sums[size_t(j) * p.m];
      T* out = c + size_t(first + j) * p.c.leading;
      for (int i = 0; i < p.m; i++) out[i] = p.beta == T(0) ? p.alpha * sum[i] : p.alpha * sum[i] + p.beta * out[i];
    }
  }
}

static size_t extent(const Matrix& matrix) { return matrix.columns && matrix.rows ? size_t(matrix.columns - 1) * matrix.leading + matrix.rows : 0; }

template <class T> static CUresult run_product(const Product<T>& p) {
  for (long long i = 0; i < p.batch; i++) {
    const T* a = reinterpret_cast<const T*>(p.a.at) + i * p.a.stride;
    const T* b = reinterpret_cast<const T*>(p.b.at) + i * p.b.stride;
    T* c = reinterpret_cast<T*>(p.c.at) + i * p.c.stride;
    check_range(reinterpret_cast<CUdeviceptr>(a), extent(p.a) * sizeof(T), "cuBLAS gemm, matrix A");
    check_range(reinterpret_cast<CUdeviceptr>(b), extent(p.b) * sizeof(T), "cuBLAS gemm, matrix B");
    check_range(reinterpret_cast<CUdeviceptr>(c), extent(p.c) * sizeof(T), "cuBLAS gemm, matrix C");
    one_product(p, a, b, c);
  }
  return CUDA_SUCCESS;
}

template <class T> static Matrix matrix(const T* at, int leading, long long stride, bool transpose, int rows, int columns) {
  return {reinterpret_cast<CUdeviceptr>(at), stride, transpose ? columns : rows, transpose ? rows : columns, leading};
}

template <class T>
static cublasStatus_t gemm(Handle* handle, int op_a, int op_b, int m, int n, int k, const T* alpha, const T* a, int lda, long long stride_a, const T* b,
                           int ldb, long long stride_b, const T* beta, T* c, int ldc, long long stride_c, int batch, bool tf32) {
  if (!handle) return NOT_INITIALIZED;
  if (handle->pointers) return NOT_SUPPORTED;      // factors in device memory
  Product<T> p = {op_a != 0, op_b != 0, tf32 || handle->math == 3, m, n, k, batch, *alpha, *beta, {}, {}, {}};
  p.a = matrix(a, lda, stride_a, p.transpose_a, m, k);
  p.b = matrix(b, ldb, stride_b, p.transpose_b, k, n);
  p.c = matrix(c, ldc, stride_c, false, m, n);
  bool negative = m < 0 || n < 0 || k < 0 || batch < 0;
  if (negative || lda < std::max(1, p.a.rows) || ldb < std::max(1, p.b.rows) || ldc < std::max(1, m)) return INVALID_VALUE;
  if (m == 0 || n == 0 || batch == 0) return SUCCESS;
  Context* context;
  if (enter(&context) != CUDA_SUCCESS) return EXECUTION_FAILED;
  if (context != handle->context) emulated_abort("a cuBLAS handle of device %d is used while device %d is current", handle->context->device->ordinal, context->device->ordinal);
  return submit(resolve(handle->stream, context), NodeType::Kernel, [p] { return run_product(p); }) == CUDA_SUCCESS ? SUCCESS : EXECUTION_FAILED;
}

EXPORT cublasStatus_t cublasCreate_v2(Handle** out) {
  Context* context;
  if (enter(&context) != CUDA_SUCCESS) return NOT_INITIALIZED;
  *out = new Handle{context};
  return SUCCESS;
}

EXPORT cublasStatus_t cublasDestroy_v2(Handle* handle) {
  delete handle;
  return SUCCESS;
}

EXPORT cublasStatus_t cublasSetStream_v2(Handle* handle, void* stream) { handle->stream = stream; return SUCCESS; }
EXPORT cublasStatus_t cublasGetStream_v2(Handle* handle, void** stream) { *stream = handle->stream; return SUCCESS; }
EXPORT cublasStatus_t cublasSetMathMode(Handle* handle, int mode) { handle->math = mode; return SUCCESS; }
EXPORT cublasStatus_t cublasGetMathMode(Handle* handle, int* mode) { *mode = handle->math; return SUCCESS; }
EXPORT cublasStatus_t cublasSetAtomicsMode(Handle*, int) { return SUCCESS; }
EXPORT cublasStatus_t cublasSetPointerMode_v2(Handle* handle, int mode) { handle->pointers = mode; return SUCCESS; }
EXPORT cublasStatus_t cublasGetPointerMode_v2(Handle* handle, int* mode) { *mode = handle->pointers; return SUCCESS; }
EXPORT cublasStatus_t cublasGetVersion_v2(Handle*, int* version) { *version = 130000; return SUCCESS; }
EXPORT const char* cublasGetStatusName(cublasStatus_t) { return "CUBLAS_STATUS"; }
EXPORT const char* cublasGetStatusString(cublasStatus_t) { return "CUBLAS_STATUS"; }

EXPORT cublasStatus_t cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t bytes) {
  check_range(reinterpret_cast<CUdeviceptr>(workspace), bytes, "cublasSetWorkspace");
  handle->workspace = workspace;
  handle->workspace_bytes = bytes;
  return SUCCESS;
}

#define EMULATED_GEMM(LETTER, T)                                                                                                              \
  EXPORT cublasStatus_t cublas##LETTER##gemm_v2(Handle* h, int op_a, int op_b, int m, int n, int k, const T* alpha, const T* a, int lda,     \
                                                const T* b, int ldb, const T* beta, T* c, int ldc) {                                         \
    return gemm(h, op_a, op_b, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1, false);                                             \
  }                                                                                                                                           \
  EXPORT cublasStatus_t cublas##LETTER##gemmStridedBatched(Handle* h, int op_a, int op_b, int m, int n, int k, const T* alpha, const T* a,   \
                                                           int lda, long long sa, const T* b, int ldb, long long sb, const T* beta, T* c,    \
                                                           int ldc, long long sc, int batch) {                                               \
    return gemm(h, op_a, op_b, m, n, k, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc, batch, false);                                      \
  }                                                                                                                                           \
  EXPORT cublasStatus_t cublas##LETTER##gemv_v2(Handle* h, int op, int m, int n, const T* alpha, const T* a, int lda, const T* x, int incx,  \
                                                const T* beta, T* y, int incy) {                                                              \
    if (incx != 1 || incy != 1) return NOT_SUPPORTED;                                                                                         \
    int rows = op ? n : m, inner = op ? m : n;                                                                                                \
    return gemm(h, op, 0, rows, 1, inner, alpha, a, lda, 0, x, std::max(1, inner), 0, beta, y, std::max(1, rows), 0, 1, false);              \
  }
EMULATED_GEMM(S, float)
EMULATED_GEMM(D, double)

EXPORT cublasStatus_t cublasGemmStridedBatchedEx(Handle* h, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a, int type_a,
                                                 int lda, long long sa, const void* b, int type_b, int ldb, long long sb, const void* beta, void* c,
                                                 int type_c, int ldc, long long sc, int batch, int compute, int) {
  if (type_a != type_b || type_a != type_c) return NOT_SUPPORTED;
  bool single = compute == COMPUTE_32F || compute == COMPUTE_32F_PEDANTIC || compute == COMPUTE_32F_FAST_TF32;
  if (type_a == R_32F && single) {
    return gemm(h, op_a, op_b, m, n, k, static_cast<const float*>(alpha), static_cast<const float*>(a), lda, sa, static_cast<const float*>(b), ldb, sb,
                static_cast<const float*>(beta), static_cast<float*>(c), ldc, sc, batch, compute == COMPUTE_32F_FAST_TF32);
  }
  if (type_a == R_64F && (compute == COMPUTE_64F || compute == COMPUTE_64F_PEDANTIC)) {
    return gemm(h, op_a, op_b, m, n, k, static_cast<const double*>(alpha), static_cast<const double*>(a), lda, sa, static_cast<const double*>(b), ldb,
                sb, static_cast<const double*>(beta), static_cast<double*>(c), ldc, sc, batch, false);
  }
  return NOT_SUPPORTED;
}

EXPORT cublasStatus_t cublasGemmEx(Handle* h, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a, int type_a, int lda,
                                   const void* b, int type_b, int ldb, const void* beta, void* c, int type_c, int ldc, int compute, int algorithm) {
  return cublasGemmStridedBatchedEx(h, op_a, op_b, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0, beta, c, type_c, ldc, 0, 1, compute, algorithm);
}
