// Captures and graphs: what is recorded, that arguments are those of the capture, and what is refused.
#include "check.h"

static const char* kSource = R"(extern "C" __global__ void add(int* data, int value) { data[threadIdx.x] += value; })";

static void refuses(const Machine& machine, int code, const std::function<int()>& call) {
  Opaque graph;
  int status;
  OK(cuStreamBeginCapture_v2(machine.stream, 0));
  EQUAL(call(), code);
  OK(cuStreamIsCapturing(machine.stream, &status));
  EQUAL(status, 2);
  EQUAL(cuStreamEndCapture(machine.stream, &graph), 901);
}

static void check_replay(const Machine& machine, Opaque add, CUdeviceptr data, void* pinned) {
  Opaque graph, exec, start, end;
  OK(cuEventCreate(&start, 0));
  OK(cuEventCreate(&end, 0));
  int value = 5;
  *static_cast<int*>(pinned) = 100;
  OK(cuStreamBeginCapture_v2(machine.stream, 0));
  OK(cuEventRecordWithFlags(start, machine.stream, 1));
  OK(cuMemcpyHtoDAsync_v2(data, pinned, 4, machine.stream));
  OK(launch(add, 1, 2, 0, machine.stream, data, value));
  OK(cuEventRecordWithFlags(end, machine.stream, 1));
  OK(cuStreamEndCapture(machine.stream, &graph));
  size_t nodes = 0;
  OK(cuGraphGetNodes(graph, nullptr, &nodes));
  EQUAL(nodes, size_t(4));
  EQUAL(download<int>(data, 2)[1], 2);      // a capture runs nothing
  OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  value = 0;
  *static_cast<int*>(pinned) = 200;
  for (int i = 0; i < 2; i++) OK(cuGraphLaunch(exec, machine.stream));
  EQUAL(download<int>(data, 2)[0], 205);
  EQUAL(download<int>(data, 2)[1], 12);
  float milliseconds = -1;
  OK(cuEventSynchronize(end));
  OK(cuEventElapsedTime_v2(&milliseconds, start, end));
  EQUAL(milliseconds >= 0, true);
  OK(cuGraphExecDestroy(exec));
  OK(cuGraphDestroy(graph));
}

static void check_fork(const Machine& machine, Opaque add, CUdeviceptr data) {
  Opaque side, fork, join, graph;
  OK(cuStreamCreate(&side, 1));
  OK(cuEventCreate(&fork, 2));
  OK(cuEventCreate(&join, 2));
  for (bool joined : {true, false}) {
    OK(cuStreamBeginCapture_v2(machine.stream, 1));
    OK(cuEventRecord(fork, machine.stream));
    OK(cuStreamWaitEvent(side, fork, 0));
    OK(launch(add, 1, 2, 0, side, data, 1));
    EQUAL(cuStreamSynchronize(machine.stream) == 0, false);
    EQUAL(cuStreamEndCapture(machine.stream, &graph), 901);

    OK(cuStreamBeginCapture_v2(machine.stream, 1));
    OK(cuEventRecord(fork, machine.stream));
    OK(cuStreamWaitEvent(side, fork, 0));
    OK(launch(add, 1, 2, 0, side, data, 1));
    OK(cuEventRecord(join, side));
    if (joined) OK(cuStreamWaitEvent(machine.stream, join, 0));
    EQUAL(cuStreamEndCapture(machine.stream, &graph), joined ? 0 : 904);
  }
}

static void check_graph_memory(const Machine& machine) {
  Opaque graph, exec;
  CUdeviceptr kept;
  OK(cuStreamBeginCapture_v2(machine.stream, 1));
  OK(cuMemAllocAsync(&kept, 64, machine.stream));
  OK(cuMemsetD8Async(kept, 1, 64, machine.stream));
  OK(cuStreamEndCapture(machine.stream, &graph));
  OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  OK(cuGraphLaunch(exec, machine.stream));
  EQUAL(cuGraphLaunch(exec, machine.stream), 1);      // it would allocate what it has not freed
  OK(cuGraphExecDestroy(exec));
  OK(cuGraphDestroy(graph));
}

void check_graphs(const Machine& machine) {
  Opaque add = load(kSource, "add"), outside;
  CUdeviceptr data = upload(std::vector<int>{1, 2}), freed;
  void* pinned;
  int pageable = 0;
  OK(cuMemHostAlloc(&pinned, 4, 0));
  OK(cuEventCreate(&outside, 2));
  OK(cuEventRecord(outside, machine.stream));
  check_replay(machine, add, data, pinned);
  check_fork(machine, add, data);
  check_graph_memory(machine);
  OK(cuMemAllocAsync(&freed, 64, machine.stream));
  refuses(machine, 900, [&] { return cuStreamSynchronize(machine.stream); });
  refuses(machine, 900, [&] { return cuCtxSynchronize(); });
  refuses(machine, 900, [&] { return cuMemcpyHtoDAsync_v2(data, &pageable, 4, machine.stream); });
  refuses(machine, 900, [&] { return cuMemcpyDtoH_v2(pinned, data, 4); });
  refuses(machine, 900, [&] { return cuMemAlloc_v2(&freed, 4); });
  refuses(machine, 905, [&] { return cuStreamWaitEvent(machine.stream, outside, 0); });
  refuses(machine, 1, [&] { return cuMemFreeAsync(freed, machine.stream); });
}
