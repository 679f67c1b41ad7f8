// cuBLAS and candle's own kernels against plain loops, and a device that is lost.
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
  auto gemm = [&](int op, int m, int lda) {
    return cublasSgemm_v2(handle, op, 0, m, 4, 3, &alpha, reinterpret_cast<float*>(da), lda, reinterpret_cast<float*>(db), 3, &beta, reinterpret_cast<float*>(dc), m);
  };
  Opaque graph, exec;
  OK(cuStreamBeginCapture_v2(machine.stream, 1));
  OK(gemm(1, 2, 3));
  OK(cuStreamEndCapture(machine.stream, &graph));
  OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  alpha = 0;                                      // the capture has its own copy
  EQUAL(download<float>(dc, 8)[0], 1.0f);
  OK(cuGraphLaunch(exec, machine.stream));
  std::vector<float> got = download<float>(dc, 8);
  for (size_t i = 0; i < 2; i++) {
    for (size_t j = 0; j < 4; j++) {
      float sum = 0;
      for (size_t l = 0; l < 3; l++) sum += a[i * 3 + l] * b[j * 3 + l];
      EQUAL(got[j * 2 + i], 2 * sum + 3);
    }
  }
  EQUAL(gemm(0, 4, 3), 7);
  aborts("matrix A", [&] { gemm(1, 4, 3); });
}

static void check_lost(const Machine& machine) {
  Opaque kernel = load("extern \"C\" __global__ void nothing() {}", "nothing");
  std::string text;
  int status = apart([&] {
    setenv("EMULATED_GPU_LOST_AFTER", "0:0", 1);
    size_t free_bytes, total;
    EQUAL(launch(kernel, 1, 1, 0, machine.stream), 719);
    EQUAL(cuStreamSynchronize(machine.stream), 719);
    EQUAL(cuMemGetInfo_v2(&free_bytes, &total), 719);
    OK(cuCtxSetCurrent(machine.contexts[1]));
    OK(cuMemGetInfo_v2(&free_bytes, &total));
  }, &text);
  if (status) failed(__FILE__, __LINE__, text);
}

void check_libraries(const Machine& machine) {
  check_lost(machine);
  check_gemm(machine);
}

// candle's PTX stands for its source: each of the files must compile, and one kernel must compute.
void check_candle(const Machine& machine) {
  Opaque module, function;
  for (const char* kernel : {"badd_f32", "cast_f32_f64", "im2col_f32", "fill_f32", "is_u32_f32", "asort_asc_f32", "where_u32_f32", "urelu_f64"}) {
    OK(cuModuleLoadData(&module, (".visible .entry " + std::string(kernel) + "(").c_str()));
    OK(cuModuleGetFunction(&function, module, kernel));
  }
  OK(cuModuleLoadData(&module, ".visible .entry fast_sum_f32("));
  OK(cuModuleGetFunction(&function, module, "fast_sum_f32"));
  CUdeviceptr in = upload(std::vector<float>{1, 2, 3, 4, 5, 6}), out = upload(std::vector<float>{0, 0}), info = upload(std::vector<size_t>{2, 3, 3, 1});
  OK(launch(function, 2, 1024, 0, machine.stream, size_t(6), size_t(3), size_t(2), info, in, out));
  EQUAL(download<float>(out, 2)[0], 6.0f);
  EQUAL(download<float>(out, 2)[1], 15.0f);
}
