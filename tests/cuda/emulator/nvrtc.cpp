// NVRTC: compiles by g++ (compile.cpp). The "PTX" that comes out is a text that names the shared object.
#include <cstring>

#include "machine.h"

typedef int nvrtcResult;
enum : nvrtcResult { NVRTC_SUCCESS = 0, NVRTC_ERROR_INVALID_INPUT = 3, NVRTC_ERROR_INVALID_PROGRAM = 4, NVRTC_ERROR_COMPILATION = 6, NVRTC_ERROR_BUILTIN = 7 };

struct Program {
  std::string source, name, image, log;
};

EXPORT const char* nvrtcGetErrorString(nvrtcResult result) {
  switch (result) {
    case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
    case NVRTC_ERROR_INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
    case NVRTC_ERROR_INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
    case NVRTC_ERROR_COMPILATION: return "NVRTC_ERROR_COMPILATION";
    default: return "NVRTC_ERROR";
  }
}

EXPORT nvrtcResult nvrtcVersion(int* major, int* minor) {
  *major = 13, *minor = 99;      // no real one: what is cached for one is not taken for the other
  return NVRTC_SUCCESS;
}

EXPORT nvrtcResult nvrtcGetNumSupportedArchs(int* count) { *count = 2; return NVRTC_SUCCESS; }
EXPORT nvrtcResult nvrtcGetSupportedArchs(int* archs) { archs[0] = 80, archs[1] = 90; return NVRTC_SUCCESS; }

EXPORT nvrtcResult nvrtcCreateProgram(Program** out, const char* source, const char* name, int headers, const char* const*, const char* const*) {
  if (headers) return NVRTC_ERROR_INVALID_INPUT;
  *out = new Program{source, name ? name : "default_program", "", ""};
  return NVRTC_SUCCESS;
}

EXPORT nvrtcResult nvrtcDestroyProgram(Program** program) {
  delete *program;
  *program = nullptr;
  return NVRTC_SUCCESS;
}

EXPORT nvrtcResult nvrtcCompileProgram(Program* program, int count, const char* const* options) {
  if (!program) return NVRTC_ERROR_INVALID_PROGRAM;
  Compiled compiled = compile_device_code(program->source, program->name, std::vector<std::string>(options, options + count), true);
  program->log = compiled.log;
  if (!compiled.ok) return NVRTC_ERROR_COMPILATION;
  program->image = "// emulated module " + compiled.path + "\n.version 9.0\n.target sm_90\n.address_size 64\n";
  for (const std::string& kernel : compiled.kernels) program->image += ".visible .entry " + kernel + "()\n";
  return NVRTC_SUCCESS;
}

static nvrtcResult give_size(const Program* program, const std::string& text, size_t* size) {
  if (!program) return NVRTC_ERROR_INVALID_PROGRAM;
  *size = text.size() + 1;
  return NVRTC_SUCCESS;
}

static nvrtcResult give(const Program* program, const std::string& text, char* out) {
  if (!program) return NVRTC_ERROR_INVALID_PROGRAM;
  memcpy(out, text.c_str(), text.size() + 1);
  return NVRTC_SUCCESS;
}

EXPORT nvrtcResult nvrtcGetProgramLogSize(Program* p, size_t* size) { return give_size(p, p->log, size); }
EXPORT nvrtcResult nvrtcGetProgramLog(Program* p, char* log) { return give(p, p->log, log); }
EXPORT nvrtcResult nvrtcGetPTXSize(Program* p, size_t* size) { return give_size(p, p->image, size); }
EXPORT nvrtcResult nvrtcGetPTX(Program* p, char* image) { return give(p, p->image, image); }
EXPORT nvrtcResult nvrtcGetCUBINSize(Program* p, size_t* size) { return give_size(p, p->image, size); }
EXPORT nvrtcResult nvrtcGetCUBIN(Program* p, char* image) { return give(p, p->image, image); }
