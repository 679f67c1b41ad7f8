// The emulation's own checks: build.sh DIR --check.
#include "check.h"

#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

int apart(const std::function<void()>& body, std::string* text) {
  int ends[2];
  if (pipe(ends)) failed(__FILE__, __LINE__, "no pipe");
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 2);
    body();
    _exit(0);
  }
  close(ends[1]);
  char buffer[512];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;) text->append(buffer, size_t(got));
  close(ends[0]);
  int status;
  waitpid(child, &status, 0);
  return status;
}

void aborts(const char* message, const std::function<void()>& body) {
  std::string text;
  int status = apart(body, &text);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) failed(__FILE__, __LINE__, std::string("did not abort: ") + message + "\n" + text);
  if (text.find(message) == std::string::npos) failed(__FILE__, __LINE__, std::string("no '") + message + "' in: " + text);
}

Machine open_machine() {
  Machine machine;
  OK(cuInit(0));
  for (int i = 1; i >= 0; i--) {
    OK(cuDevicePrimaryCtxRetain(&machine.contexts[i], i));
    OK(cuCtxSetCurrent(machine.contexts[i]));
  }
  OK(cuStreamCreate(&machine.stream, 1));
  return machine;
}

Opaque load(const char* source, const char* kernel) {
  Opaque program, module, function;
  OK(nvrtcCreateProgram(&program, source, "check.cu", 0, nullptr, nullptr));
  const char* options[] = {"--gpu-architecture=sm_90", "-DFACTOR=3", "--use_fast_math"};
  int result = nvrtcCompileProgram(program, 3, options);
  size_t size;
  OK(nvrtcGetProgramLogSize(program, &size));
  std::string log(size, ' ');
  OK(nvrtcGetProgramLog(program, log.data()));
  if (result) failed(__FILE__, __LINE__, log);
  OK(nvrtcGetPTXSize(program, &size));
  std::string image(size, ' ');
  OK(nvrtcGetPTX(program, image.data()));
  OK(cuModuleLoadData(&module, image.c_str()));
  OK(cuModuleGetFunction(&function, module, kernel));
  return function;
}

int main() {
  unsetenv("EMULATED_GPU_LOST_AFTER");
  unsetenv("CUDA_VISIBLE_DEVICES");
  setenv("EMULATED_GPUS", "2", 1);
  setenv("EMULATED_GPU_MEMORY", "64M", 1);
  Machine machine = open_machine();
  check_memory(machine);
  check_kernels(machine);
  check_graphs(machine);
  check_libraries(machine);
  check_convolution(machine);
  check_all_reduce(machine);
  check_candle(machine);
  puts("emulated GPU: checks passed");
}
