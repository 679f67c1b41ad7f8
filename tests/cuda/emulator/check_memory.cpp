// Memory: limits, copies, and that wrong ones are found.
#include "check.h"

void check_memory(const Machine& machine) {
  size_t free_bytes, total, after;
  CUdeviceptr pointer;
  OK(cuMemGetInfo_v2(&free_bytes, &total));
  EQUAL(total, size_t(64) << 20);
  EQUAL(cuMemAlloc_v2(&pointer, size_t(65) << 20), 2);
  OK(cuMemAlloc_v2(&pointer, 1000));
  EQUAL(download<unsigned char>(pointer, 1)[0], 0xff);       // never zeros by luck
  OK(cuMemsetD8Async(pointer, 7, 1000, machine.stream));
  EQUAL(download<unsigned char>(pointer, 1000)[999], 7);
  aborts("offset 0", [&] { cuMemsetD8Async(pointer, 7, 1001, machine.stream); });
  aborts("freed memory", [&] {
    cuMemFree_v2(pointer);
    cuMemsetD8Async(pointer, 7, 1, machine.stream);
  });
  aborts("freed twice", [&] {
    cuMemFree_v2(pointer);
    cuMemFree_v2(pointer);
  });
  OK(cuMemFree_v2(pointer));
  OK(cuMemGetInfo_v2(&after, &total));
  EQUAL(after, free_bytes);

  OK(cuCtxSetCurrent(machine.contexts[1]));
  CUdeviceptr other = upload(std::vector<int>{1, 2, 3});
  OK(cuCtxSetCurrent(machine.contexts[0]));
  CUdeviceptr here = upload(std::vector<int>{0, 0, 0});
  OK(cuMemcpyPeerAsync(here, machine.contexts[0], other, machine.contexts[1], 12, machine.stream));
  EQUAL(download<int>(here, 3)[2], 3);
  EQUAL(cuMemcpyPeerAsync(here, machine.contexts[1], other, machine.contexts[1], 12, machine.stream), 1);
}
