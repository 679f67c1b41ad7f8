// Modules, functions and launches. A module's image is a text that names a shared object built from CUDA C
// (compile.cpp), or PTX of candle's own kernels, which stands for their source.
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <unistd.h>

#include "device/emulated_block.h"
#include "machine.h"

std::string candle_source(const char* ptx);

struct Module {
  void* library;
  bool strict;            // our own kernels: threads that return before a barrier are an error
};

struct Function {
  const EmulatedKernel* kernel;
  Module* module;
  int max_dynamic_shared = 48 << 10;
};

// Each load gets its own copy of the module's variables, as each context has them: the file is loaded by another name.
static void* load_copy(const std::string& path) {
  static std::atomic<unsigned> number{0};
  std::string copy = path + "." + std::to_string(getpid()) + "." + std::to_string(number++);
  std::ofstream(copy, std::ios::binary) << std::ifstream(path, std::ios::binary).rdbuf();
  void* library = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fprintf(stderr, "emulated GPU: module %s: %s (was it compiled with an emulation that is gone?)\n", path.c_str(), dlerror());
  unlink(copy.c_str());
  return library;
}

static bool module_path(const char* image, std::string* path, bool* strict) {
  const char* mark = strstr(image, "// emulated module ");
  *strict = mark != nullptr;
  if (mark) {
    mark += strlen("// emulated module ");
    *path = std::string(mark, strcspn(mark, "\n"));
    return true;
  }
  std::string source = candle_source(image);
  if (source.empty()) {
    fprintf(stderr, "emulated GPU: this PTX is neither from the emulated NVRTC nor candle's\n");
    return false;
  }
  std::string folder = source.substr(0, source.rfind('/'));
  Compiled compiled = compile_device_code("#include \"" + source + "\"\n", "candle", {"-I" + folder}, false);
  if (!compiled.ok) fprintf(stderr, "emulated GPU: %s\n%s\n", source.c_str(), compiled.log.c_str());
  *path = compiled.path;
  return compiled.ok;
}

EXPORT CUresult cuModuleLoadData(Module** out, const void* image) {
  Context* context;
  TRY(enter(&context));
  TRY(unsafe_call());
  std::string path;
  bool strict;
  if (!module_path(static_cast<const char*>(image), &path, &strict)) return CUDA_ERROR_INVALID_IMAGE;
  void* library = load_copy(path);
  if (!library) return CUDA_ERROR_INVALID_IMAGE;
  *out = new Module{library, strict};
  return CUDA_SUCCESS;
}

EXPORT CUresult cuModuleLoadDataEx(Module** out, const void* image, unsigned, void*, void*) { return cuModuleLoadData(out, image); }

EXPORT CUresult cuModuleLoad(Module** out, const char* name) {
  FILE* file = fopen(name, "rb");
  if (!file) return 301;      // file not found
  std::string image;
  for (int c; (c = fgetc(file)) != EOF;) image += char(c);
  fclose(file);
  return cuModuleLoadData(out, image.c_str());
}

EXPORT CUresult cuModuleUnload(Module*) { return CUDA_SUCCESS; }    // captured launches may still point into it

EXPORT CUresult cuModuleGetFunction(Function** out, Module* module, const char* name) {
  auto* kernels = static_cast<const EmulatedKernel*>(dlsym(module->library, "emulated_kernels"));
  for (; kernels && kernels->name; kernels++) {
    if (strcmp(kernels->name, name) != 0) continue;
    *out = new Function{kernels, module};
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr* pointer, size_t* bytes, Module* module, const char* name) {
  void* symbol = dlsym(module->library, name);
  if (!symbol) return CUDA_ERROR_NOT_FOUND;
  if (pointer) *pointer = reinterpret_cast<CUdeviceptr>(symbol);
  if (bytes) *bytes = 0;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuModuleGetLoadingMode(int* mode) { *mode = 1; return CUDA_SUCCESS; }

// CUfunction_attribute of the real header.
EXPORT CUresult cuFuncGetAttribute(int* value, int attribute, Function* function) {
  switch (attribute) {
    case 0: *value = int(function->kernel->max_threads); break;
    case 4: *value = 32; break;
    case 5: case 6: *value = 90; break;
    case 8: *value = function->max_dynamic_shared; break;
    default: *value = 0;
  }
  return CUDA_SUCCESS;
}

EXPORT CUresult cuFuncSetAttribute(Function* function, int attribute, int value) {
  if (attribute == 8 && (value < 0 || value > 232448)) return CUDA_ERROR_INVALID_VALUE;
  if (attribute == 8) function->max_dynamic_shared = value;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuFuncSetCacheConfig(Function*, int) { return CUDA_SUCCESS; }
EXPORT CUresult cuFuncLoad(Function*) { return CUDA_SUCCESS; }
EXPORT CUresult cuFuncGetName(const char** name, Function* function) { *name = function->kernel->name; return CUDA_SUCCESS; }
EXPORT CUresult cuFuncGetModule(Module** module, Function* function) { *module = function->module; return CUDA_SUCCESS; }

EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, Function*, int size, size_t shared, unsigned) {
  *blocks = size <= 0 || size > 1024 ? 0 : std::min(2048 / size, shared ? int(233472 / shared) : 32);
  return CUDA_SUCCESS;
}
EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function* function, int size, size_t shared) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, size, shared, 0);
}
EXPORT CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, Function* function, void*, size_t, int limit, unsigned) {
  *block = int(function->kernel->max_threads);
  if (limit > 0) *block = std::min(*block, limit);
  *grid = 132 * (2048 / *block);
  return CUDA_SUCCESS;
}
EXPORT CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, Function* function, void* f, size_t shared, int limit) {
  return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, function, f, shared, limit, 0);
}
EXPORT CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, Function* function, int, int) {
  *bytes = size_t(function->max_dynamic_shared);
  return CUDA_SUCCESS;
}

// The values of a launch's arguments, copied when it is submitted: a graph replays them as they were.
struct Arguments {
  std::vector<std::vector<uint64_t>> values;
  std::vector<void*> pointers;
  Arguments(const EmulatedKernel* kernel, void** from) {
    for (unsigned i = 0; i < kernel->parameters; i++) {
      values.emplace_back((kernel->sizes[i] + 7) / 8);
      memcpy(values.back().data(), from[i], kernel->sizes[i]);
    }
    for (auto& value : values) pointers.push_back(value.data());
  }
};

static bool fits(const Function* function, const unsigned* grid, const unsigned* block, size_t shared) {
  uint64_t threads = uint64_t(block[0]) * block[1] * block[2];
  bool some = grid[0] && grid[1] && grid[2] && threads;
  bool small = threads <= function->kernel->max_threads && block[0] <= 1024 && block[1] <= 1024 && block[2] <= 64;
  return some && small && grid[0] <= 0x7fffffff && grid[1] <= 65535 && grid[2] <= 65535 && shared <= size_t(function->max_dynamic_shared);
}

EXPORT CUresult cuLaunchKernel(Function* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                               void* handle, void** parameters, void** extra) {
  Context* context;
  TRY(enter(&context));
  if (!function || extra) return extra ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_HANDLE;
  std::vector<unsigned> grid = {gx, gy, gz}, block = {bx, by, bz};
  if (!fits(function, grid.data(), block.data(), shared)) {
    fprintf(stderr, "emulated GPU: kernel %s refused: grid (%u, %u, %u), block (%u, %u, %u), %u bytes of shared memory\n", function->kernel->name,
            gx, gy, gz, bx, by, bz, shared);
    return CUDA_ERROR_INVALID_VALUE;
  }
  auto arguments = std::make_shared<Arguments>(function->kernel, parameters);
  return submit(resolve(handle, context), NodeType::Kernel, [=] {
    return run_grid(function->kernel, arguments->pointers.data(), grid.data(), block.data(), shared, function->module->strict);
  });
}

// CUlaunchConfig of the real header.
struct LaunchConfig {
  unsigned gx, gy, gz, bx, by, bz, shared;
  void* stream;
  void* attributes;
  unsigned count;
};

EXPORT CUresult cuLaunchKernelEx(const LaunchConfig* c, Function* function, void** parameters, void** extra) {
  return cuLaunchKernel(function, c->gx, c->gy, c->gz, c->bx, c->by, c->bz, c->shared, c->stream, parameters, extra);
}
