// Runs the grid of a kernel: block after block, the threads of a block in order of their index on the calling host
// thread. A thread that meets a barrier or a warp operation keeps its stack and waits while the next ones run; a
// kernel without any runs as plain calls.
#include <csignal>
#include <cstring>
#include <sys/mman.h>

#include "device/emulated_block.h"
#include "fibers.h"
#include "machine.h"

extern "C" {
__attribute__((visibility("default"))) __thread EmulatedThread* emulated_thread = nullptr;
}

namespace {

enum class State : unsigned char { Waiting, Running, AtBlock, AtWarp, Done };

struct Warp {
  unsigned exists, done, waiting;
  unsigned mask[32];
  unsigned long long value[32];
};

// The block that a host thread runs at the moment, and the stacks that it keeps for the next one.
struct Runner {
  const EmulatedKernel* kernel = nullptr;
  void** arguments;
  bool strict;
  EmulatedBlock block;
  unsigned size = 0, next, done, at_block, votes;
  std::vector<EmulatedThread> threads;
  std::vector<State> state;
  std::vector<Fiber*> on;               // the fiber of a waiting thread
  std::vector<Warp> warps;
  std::vector<unsigned> ready;          // threads, last one first
  std::vector<Fiber*> fibers, free;
  Fiber* current = nullptr;
  char* shared = nullptr;
  size_t shared_size = 0;

  ~Runner() {
    for (Fiber* fiber : fibers) delete_fiber(fiber);
    if (shared) munmap(shared, kShared + 4096);
  }
  static const size_t kShared = 256 << 10;

  void start(const EmulatedKernel* kernel, void** arguments, const unsigned* grid, const unsigned* block, size_t dynamic, bool strict);
  void run_block();
  void run_threads();
  bool release_waiting();
  bool release_warp(unsigned warp, unsigned mask);
  void wait(unsigned thread, State state);
  unsigned self() const { return static_cast<unsigned>(emulated_thread - threads.data()); }
  [[noreturn]] void stuck();
};

thread_local Runner runner;

void fiber_body(void*) {
  for (;;) {
    runner.run_threads();
    Fiber* fiber = runner.current;
    runner.free.push_back(fiber);
    leave_fiber(fiber);
  }
}

void Runner::start(const EmulatedKernel* with, void** values, const unsigned* grid, const unsigned* dim, size_t dynamic, bool exact) {
  kernel = with, arguments = values, strict = exact;
  block.grid = {grid[0], grid[1], grid[2]};
  block.dim = {dim[0], dim[1], dim[2]};
  size = dim[0] * dim[1] * dim[2];
  threads.resize(size), state.resize(size), on.resize(size), warps.resize((size + 31) / 32);
  for (unsigned t = 0; t < size; t++) {
    threads[t] = {{t % dim[0], t / dim[0] % dim[1], t / dim[0] / dim[1]}, &block};
  }
  shared_size = (dynamic + 15) / 16 * 16;
  if (shared_size && !shared) {
    void* memory = mmap(nullptr, kShared + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) emulated_abort("no memory for shared memory");
    shared = static_cast<char*>(memory);
    mprotect(shared + kShared, 4096, PROT_NONE);      // an overrun of dynamic shared memory faults
  }
}

void Runner::run_block() {
  next = done = at_block = votes = 0;
  ready.clear();
  std::fill(state.begin(), state.end(), State::Waiting);
  for (size_t w = 0; w < warps.size(); w++) {
    unsigned lanes = std::min(32u, size - unsigned(w) * 32);
    warps[w].exists = lanes == 32 ? ~0u : (1u << lanes) - 1;
    warps[w].done = warps[w].waiting = 0;
  }
  if (shared_size) memset(shared + kShared - shared_size, 0xff, shared_size);
  while (done < size || !ready.empty()) {
    if (!ready.empty()) {
      unsigned thread = ready.back();
      ready.pop_back();
      current = on[thread];
      emulated_thread = &threads[thread];
      enter_fiber(current);
    } else if (next < size) {
      if (free.empty()) {
        fibers.push_back(new_fiber(fiber_body, nullptr));
        free.push_back(fibers.back());
      }
      current = free.back();
      free.pop_back();
      enter_fiber(current);
    } else if (!release_waiting()) {
      stuck();
    }
  }
  emulated_thread = nullptr;
}

// On a fiber: threads that have not started yet, one after the other. The fiber goes on with this after a wait too.
void Runner::run_threads() {
  while (next < size) {
    unsigned thread = next++;
    state[thread] = State::Running;
    emulated_thread = &threads[thread];
    kernel->call(arguments);
    thread = self();
    state[thread] = State::Done;
    warps[thread / 32].done |= 1u << thread % 32;
    done++;
  }
}

// The thread waits; its fiber gives way to others. Returns when the scheduler has taken it up again.
void Runner::wait(unsigned thread, State why) {
  Fiber* fiber = current;
  state[thread] = why;
  on[thread] = fiber;
  leave_fiber(fiber);
}

// All lanes of the mask that still run have come with the same mask: they go on.
bool Runner::release_warp(unsigned warp, unsigned mask) {
  Warp& w = warps[warp];
  unsigned wanted = mask & w.exists & ~w.done;
  if (wanted == 0 || (w.waiting & wanted) != wanted) return false;
  for (unsigned lane = 0; lane < 32; lane++) {
    if (wanted >> lane & 1 && w.mask[lane] != mask) return false;
  }
  w.waiting &= ~wanted;
  for (int lane = 31; lane >= 0; lane--) {
    unsigned thread = warp * 32 + unsigned(lane);
    if (!(wanted >> lane & 1)) continue;
    if (state[thread] == State::AtWarp) ready.push_back(thread);
    state[thread] = State::Running;
  }
  return true;
}

// All threads have started and none can run: a barrier that the last ones to exit have completed?
bool Runner::release_waiting() {
  for (unsigned warp = 0; warp < warps.size(); warp++) {
    for (unsigned lane = 0; lane < 32; lane++) {
      if (warps[warp].waiting >> lane & 1 && release_warp(warp, warps[warp].mask[lane])) return true;
    }
  }
  if (at_block == 0 || at_block + done != size) return false;
  if (done > 0 && strict) {
    emulated_abort("kernel %s: block (%u, %u, %u): %u of %u threads wait at __syncthreads() and %u have returned without it", kernel->name,
                   block.index.x, block.index.y, block.index.z, at_block, size, done);
  }
  at_block = 0;
  for (unsigned thread = size; thread-- > 0;) {
    if (state[thread] == State::AtBlock) ready.push_back(thread);
  }
  return true;
}

void Runner::stuck() {
  unsigned warp_waits = 0, example = 0;
  for (unsigned thread = 0; thread < size; thread++) {
    if (state[thread] == State::AtWarp) warp_waits++, example = thread;
  }
  Warp& warp = warps[example / 32];
  emulated_abort("kernel %s: block (%u, %u, %u): threads wait for each other for ever: %u at __syncthreads(), %u at a warp operation, %u returned, of %u"
                 " (thread %u names lanes %08x of its warp; there are %08x, %08x wait, %08x returned)",
                 kernel->name, block.index.x, block.index.y, block.index.z, at_block, warp_waits, done, size, example, warp.mask[example % 32],
                 warp.exists, warp.waiting, warp.done);
}

// A kernel's access outside of memory: say which kernel and what is there, then end as a broken program does.
struct sigaction before_segv, before_bus;

void on_fault(int signal, siginfo_t* info, void* context) {
  if (emulated_thread && runner.kernel) {
    EmulatedIndex b = runner.block.index, t = emulated_thread->thread;
    const char* where = runner.current && is_stack_overflow(runner.current, info->si_addr) ? " (the emulated thread's stack is full)" : "";
    emulated_abort("kernel %s: thread (%u, %u, %u) of block (%u, %u, %u) touched address %p%s: %s", runner.kernel->name, t.x, t.y, t.z, b.x, b.y,
                   b.z, info->si_addr, where, describe_address(reinterpret_cast<uint64_t>(info->si_addr)).c_str());
  }
  struct sigaction* before = signal == SIGSEGV ? &before_segv : &before_bus;
  if (before->sa_flags & SA_SIGINFO && before->sa_sigaction) return before->sa_sigaction(signal, info, context);
  sigaction(signal, before, nullptr);
}

void watch_faults() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
  });
}

// Fibers overflow into guard pages, so faults are handled on a stack apart; Rust gives its threads one, others have none.
void give_signal_stack() {
  static thread_local bool given = false;
  if (given) return;
  given = true;
  stack_t stack = {};
  if (sigaltstack(nullptr, &stack) == 0 && !(stack.ss_flags & SS_DISABLE)) return;
  stack = {};
  stack.ss_size = 64 << 10;
  stack.ss_sp = malloc(stack.ss_size);
  sigaltstack(&stack, nullptr);
}

}  // namespace

CUresult run_grid(const EmulatedKernel* kernel, void** arguments, const unsigned grid[3], const unsigned block[3], size_t dynamic_shared, bool strict) {
  watch_faults();
  give_signal_stack();
  if (emulated_thread) emulated_abort("kernel %s launched from a kernel", kernel->name);
  runner.start(kernel, arguments, grid, block, dynamic_shared, strict);
  EmulatedIndex& index = runner.block.index;
  for (index.z = 0; index.z < grid[2]; index.z++) {
    for (index.y = 0; index.y < grid[1]; index.y++) {
      for (index.x = 0; index.x < grid[0]; index.x++) runner.run_block();
    }
  }
  runner.kernel = nullptr;
  return CUDA_SUCCESS;
}

EXPORT void emulated_syncthreads() {
  unsigned thread = runner.self();
  runner.at_block++;
  runner.wait(thread, State::AtBlock);
  runner.state[thread] = State::Running;
}

EXPORT int emulated_syncthreads_count(int predicate) {
  runner.votes += predicate != 0;
  emulated_syncthreads();
  int votes = static_cast<int>(runner.votes);
  emulated_syncthreads();
  runner.votes = 0;
  emulated_syncthreads();
  return votes;
}

EXPORT unsigned emulated_lane() { return runner.self() % 32; }

EXPORT unsigned emulated_active() {
  const Warp& warp = runner.warps[runner.self() / 32];
  return warp.exists & ~warp.done;
}

EXPORT void emulated_syncwarp(unsigned mask) {
  unsigned thread = runner.self(), lane = thread % 32;
  Warp& warp = runner.warps[thread / 32];
  if (!(mask >> lane & 1)) emulated_abort("kernel %s: lane %u calls a warp operation whose mask %08x does not name it", runner.kernel->name, lane, mask);
  warp.mask[lane] = mask;
  warp.waiting |= 1u << lane;
  if (!runner.release_warp(thread / 32, mask)) runner.wait(thread, State::AtWarp);
}

EXPORT void emulated_exchange(unsigned mask, unsigned long long value, unsigned long long all[32], unsigned* present) {
  unsigned thread = runner.self();
  Warp& warp = runner.warps[thread / 32];
  warp.value[thread % 32] = value;
  emulated_syncwarp(mask);
  *present = mask & warp.exists & ~warp.done;
  for (unsigned lane = 0; lane < 32; lane++) all[lane] = *present >> lane & 1 ? warp.value[lane] : ~0ull;
  emulated_syncwarp(mask);
}

EXPORT void* emulated_dynamic_shared() { return runner.shared + Runner::kShared - runner.shared_size; }

EXPORT void emulated_trap(const char* what) {
  emulated_abort("kernel %s stopped by %s", runner.kernel ? runner.kernel->name : "?", what);
}
