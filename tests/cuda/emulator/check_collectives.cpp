// cuDNN's three passes against each other and a value by hand; NCCL between two communicators and two processes.
#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

struct Shapes {
  Opaque handle, x, w, y, conv;
};

// x: 1 x 2 x 3 x 3, w: 2 x 2 x 2 x 2, padding 1, stride 2: y is 1 x 2 x 2 x 2. x in rows of channels, w by channels.
static Shapes shapes(const Machine& machine) {
  Shapes s;
  OK(cudnnCreate(&s.handle));
  OK(cudnnSetStream(s.handle, machine.stream));
  OK(cudnnCreateTensorDescriptor(&s.x));
  OK(cudnnCreateTensorDescriptor(&s.y));
  OK(cudnnCreateFilterDescriptor(&s.w));
  OK(cudnnCreateConvolutionDescriptor(&s.conv));
  OK(cudnnSetTensor4dDescriptor(s.x, 1, 1, 1, 2, 3, 3));
  OK(cudnnSetTensor4dDescriptor(s.y, 0, 1, 1, 2, 2, 2));
  OK(cudnnSetFilter4dDescriptor(s.w, 1, 0, 2, 2, 2, 2));
  OK(cudnnSetConvolution2dDescriptor(s.conv, 1, 1, 2, 2, 1, 1, 1, 1));
  return s;
}

static double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
  return sum;
}

// <conv(x, w), dy> is the same as <x, data(w, dy)> and <w, filter(x, dy)>.
void check_convolution(const Machine& machine) {
  Shapes s = shapes(machine);
  std::vector<double> x(18), w(16), dy(8);
  for (size_t i = 0; i < x.size(); i++) x[i] = double(i * 7 % 5) - 2;
  for (size_t i = 0; i < w.size(); i++) w[i] = double(i * 3 % 7) - 3;
  for (size_t i = 0; i < dy.size(); i++) dy[i] = double(i) - 3.5;
  CUdeviceptr px = upload(x), pw = upload(w), pdy = upload(dy), out = upload(std::vector<double>(18)), space = upload(std::vector<char>(1 << 16));
  double one = 1, zero = 0;
  auto at = [](CUdeviceptr p) { return reinterpret_cast<void*>(p); };
  OK(cudnnConvolutionForward(s.handle, &one, s.x, at(px), s.w, at(pw), s.conv, 1, at(space), 1 << 16, &zero, s.y, at(out)));
  std::vector<double> y = download<double>(out, 8);
  EQUAL(y[0], x[0] * w[3] + x[1] * w[7]);      // only the last weight of each channel meets the first pixel
  OK(cudnnConvolutionBackwardData(s.handle, &one, s.w, at(pw), s.y, at(pdy), s.conv, 0, nullptr, 0, &zero, s.x, at(out)));
  EQUAL(dot(download<double>(out, 18), x), dot(y, dy));
  OK(cudnnConvolutionBackwardFilter(s.handle, &one, s.x, at(px), s.y, at(pdy), s.conv, 0, nullptr, 0, &zero, s.w, at(out)));
  EQUAL(dot(download<double>(out, 16), w), dot(y, dy));
  EQUAL(cudnnConvolutionForward(s.handle, &one, s.x, at(px), s.w, at(pw), s.conv, 1, at(space), 100, &zero, s.y, at(out)), 2000);
}

static const int kFloat = 7, kSum = 0;

static void check_group(const Machine& machine) {
  Opaque comms[2], streams[2];
  CUdeviceptr data[2];
  OK(ncclCommInitAll(comms, 2, nullptr));
  const size_t count = 200000;      // more than one piece
  for (int i = 0; i < 2; i++) {
    OK(cuCtxSetCurrent(machine.contexts[i]));
    OK(cuStreamCreate(&streams[i], 1));
    data[i] = upload(std::vector<float>(count, float(i + 1)));
  }
  OK(ncclGroupStart());
  for (int i = 0; i < 2; i++) OK(ncclAllReduce(reinterpret_cast<void*>(data[i]), reinterpret_cast<void*>(data[i]), count, kFloat, kSum, comms[i], streams[i]));
  OK(ncclGroupEnd());
  for (int i = 0; i < 2; i++) {
    EQUAL(download<float>(data[i], count)[count - 1], 3.0f);
    OK(ncclCommDestroy(comms[i]));
    OK(cuMemFree_v2(data[i]));
  }
  OK(cuCtxSetCurrent(machine.contexts[0]));
}

// Two processes, each a rank on the device that is named; both must see `expected` from ncclCommInitRank.
static void check_processes(const Machine& machine, const int (&device)[2], int expected) {
  ncclUniqueId id;
  OK(ncclGetUniqueId(&id));
  auto rank = [&](int rank) {
    Opaque comm;
    OK(cuCtxSetCurrent(machine.contexts[device[rank]]));
    EQUAL(ncclCommInitRank(&comm, 2, id, rank), expected);
    if (expected) return;
    CUdeviceptr from = upload(std::vector<float>{1.0f + float(rank)}), to = upload(std::vector<float>{0});
    for (int i = 0; i < 3; i++) OK(ncclAllReduce(reinterpret_cast<void*>(from), reinterpret_cast<void*>(to), 1, kFloat, kSum, comm, nullptr));
    EQUAL(download<float>(to, 1)[0], 3.0f);
    OK(ncclCommDestroy(comm));
  };
  pid_t other = fork();
  if (other == 0) {
    rank(1);
    _exit(0);
  }
  rank(0);
  int status;
  waitpid(other, &status, 0);
  EQUAL(status, 0);
  OK(cuCtxSetCurrent(machine.contexts[0]));
}

void check_all_reduce(const Machine& machine) {
  check_group(machine);
  check_processes(machine, {0, 1}, 0);
  check_processes(machine, {1, 1}, 5);
}
