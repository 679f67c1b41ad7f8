// cuRAND: one generator of the host's library in the place of the device's. The numbers are others than the real
// ones; their distribution is the same.
#include <cmath>
#include <random>

#include "machine.h"

typedef int curandStatus_t;
enum : curandStatus_t { SUCCESS = 0, NOT_INITIALIZED = 101, LAUNCH_FAILURE = 201 };

struct Generator {
  std::mt19937_64 source;
  void* stream = nullptr;
};

EXPORT curandStatus_t curandCreateGenerator(Generator** out, int) {
  Context* context;
  if (enter(&context) != CUDA_SUCCESS) return NOT_INITIALIZED;
  *out = new Generator();
  return SUCCESS;
}

EXPORT curandStatus_t curandDestroyGenerator(Generator* generator) {
  delete generator;
  return SUCCESS;
}

EXPORT curandStatus_t curandSetPseudoRandomGeneratorSeed(Generator* generator, unsigned long long seed) {
  generator->source.seed(seed);
  return SUCCESS;
}

EXPORT curandStatus_t curandSetGeneratorOffset(Generator* generator, unsigned long long offset) {
  generator->source.discard(offset);
  return SUCCESS;
}

EXPORT curandStatus_t curandSetStream(Generator* generator, void* stream) {
  generator->stream = stream;
  return SUCCESS;
}

EXPORT curandStatus_t curandGetVersion(int* version) {
  *version = 10400;
  return SUCCESS;
}

// Fills `count` values on the device, each drawn by `draw` from a number in (0, 1].
template <class T, class Draw> static curandStatus_t fill(Generator* generator, T* out, size_t count, Draw draw) {
  Context* context;
  if (enter(&context) != CUDA_SUCCESS) return LAUNCH_FAILURE;
  CUresult result = submit(resolve(generator->stream, context), NodeType::Kernel, [=] {
    check_range(reinterpret_cast<CUdeviceptr>(out), count * sizeof(T), "cuRAND");
    for (size_t i = 0; i < count; i++) out[i] = T(draw(generator->source));
    return CUDA_SUCCESS;
  });
  return result == CUDA_SUCCESS ? SUCCESS : LAUNCH_FAILURE;
}

static double uniform(std::mt19937_64& source) { return double((source() >> 40) + 1) / double(1 << 24); }

EXPORT curandStatus_t curandGenerateUniform(Generator* g, float* out, size_t count) { return fill(g, out, count, uniform); }
EXPORT curandStatus_t curandGenerateUniformDouble(Generator* g, double* out, size_t count) { return fill(g, out, count, uniform); }
EXPORT curandStatus_t curandGenerate(Generator* g, unsigned* out, size_t count) {
  return fill(g, out, count, [](std::mt19937_64& source) { return source(); });
}
EXPORT curandStatus_t curandGenerateNormal(Generator* g, float* out, size_t count, float mean, float deviation) {
  return fill(g, out, count, [=](std::mt19937_64& source) { return std::normal_distribution<double>(mean, deviation)(source); });
}
EXPORT curandStatus_t curandGenerateNormalDouble(Generator* g, double* out, size_t count, double mean, double deviation) {
  return fill(g, out, count, [=](std::mt19937_64& source) { return std::normal_distribution<double>(mean, deviation)(source); });
}
