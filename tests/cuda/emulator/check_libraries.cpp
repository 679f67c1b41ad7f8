// The libraries against plain loops.
#include "check.h"

static void check_gemm(const Machine& machine) {
  Opaque handle;
  OK(cublasCreate_v2(&handle));
  OK(cublasSetStream_v2(handle, machine.stream));
  std::vector<float> a(6), b(12), c(8, 1.0f);      // a: 2 x 3 transposed, b: 3 x 4, both by columns
  for (size_t i = 0; i < a.size(); i++) a[i] = float(i + 1);
  for (size_t i = 0; i < b.size(); i++) b[i] = float(i) - 4;
  CUdeviceptr da = upload(a), db = upload(b), dc = upload(c);
  float alpha = 2, beta = 3;
  OK(cublasSgemm_v2(handle, 1, 0, 2, 4, 3, &alpha, reinterpret_cast<float*>(da), 3, reinterpret_cast<float*>(db), 3, &beta, reinterpret_cast<float*>(dc), 2));
  std::vector<float> got = download<float>(dc, 8);
  for (int i = 0; i < 2; i++) {
    for (int j = 0; j < 4; j++) {
      float sum = 0;
      for (int l = 0; l < 3; l++) sum += a[size_t(i * 3 + l)] * b[size_t(j * 3 + l)];
      EQUAL(got[size_t(j * 2 + i)], 2 * sum + 3);
    }
  }
  EQUAL(cublasSgemm_v2(handle, 0, 0, 4, 4, 3, &alpha, reinterpret_cast<float*>(da), 3, reinterpret_cast<float*>(db), 3, &beta, reinterpret_cast<float*>(dc), 4), 7);
}

void check_libraries(const Machine& machine) { check_gemm(machine); }
