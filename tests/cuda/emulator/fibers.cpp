// Switching stacks: by hand on x86-64 (a few nanoseconds), by ucontext elsewhere.
#include "fibers.h"

#include <sys/mman.h>
#include <unistd.h>

#include "machine.h"

#ifndef __x86_64__
#include <ucontext.h>
#endif

static const size_t kStack = 128 << 10, kGuard = 4096 * 4;

struct Fiber {
  char* memory;
  void (*body)(void*);
  void* argument;
#ifdef __x86_64__
  void* stack;        // where the fiber goes on
  void* scheduler;    // where its caller goes on
#else
  ucontext_t stack, scheduler;
#endif
};

#ifdef __x86_64__
// Saves the registers that a callee must keep, changes the stack, and takes up the other's registers.
extern "C" void emulated_switch(void** save, void* load);
asm(R"(
.text
.globl emulated_switch
.hidden emulated_switch
.type emulated_switch, @function
emulated_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size emulated_switch, . - emulated_switch
)");

static thread_local Fiber* starting = nullptr;

static void first_entry() {
  Fiber* fiber = starting;
  fiber->body(fiber->argument);
  emulated_abort("a fiber returned");
}

static void prepare(Fiber* fiber) {
  void** top = reinterpret_cast<void**>(fiber->memory + kGuard + kStack);
  *--top = nullptr;                                     // keeps the stack aligned as after a call
  *--top = reinterpret_cast<void*>(first_entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  fiber->stack = top;
}

void enter_fiber(Fiber* fiber) {
  starting = fiber;
  emulated_switch(&fiber->scheduler, fiber->stack);
}

void leave_fiber(Fiber* fiber) { emulated_switch(&fiber->stack, fiber->scheduler); }
#else
static void first_entry(unsigned low, unsigned high) {
  Fiber* fiber = reinterpret_cast<Fiber*>((static_cast<uintptr_t>(high) << 32) | low);
  fiber->body(fiber->argument);
  emulated_abort("a fiber returned");
}

static void prepare(Fiber* fiber) {
  getcontext(&fiber->stack);
  fiber->stack.uc_stack.ss_sp = fiber->memory + kGuard;
  fiber->stack.uc_stack.ss_size = kStack;
  fiber->stack.uc_link = nullptr;
  uint64_t address = reinterpret_cast<uintptr_t>(fiber);
  makecontext(&fiber->stack, reinterpret_cast<void (*)()>(first_entry), 2, static_cast<unsigned>(address), static_cast<unsigned>(address >> 32));
}

void enter_fiber(Fiber* fiber) { swapcontext(&fiber->scheduler, &fiber->stack); }
void leave_fiber(Fiber* fiber) { swapcontext(&fiber->stack, &fiber->scheduler); }
#endif

Fiber* new_fiber(void (*body)(void*), void* argument) {
  void* memory = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) emulated_abort("no memory for the stack of a thread");
  mprotect(memory, kGuard, PROT_NONE);
  Fiber* fiber = new Fiber();
  fiber->memory = static_cast<char*>(memory);
  fiber->body = body;
  fiber->argument = argument;
  prepare(fiber);
  return fiber;
}

void delete_fiber(Fiber* fiber) {
  munmap(fiber->memory, kGuard + kStack);
  delete fiber;
}

bool is_stack_overflow(Fiber* fiber, const void* address) {
  return address >= fiber->memory && address < fiber->memory + kGuard;
}
