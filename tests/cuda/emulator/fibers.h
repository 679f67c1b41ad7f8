// Stacks that a host thread switches between: one for each thread of a block that waits.
#pragma once

#include <cstddef>

struct Fiber;

// A fiber that runs `body(argument)`, which must never return: it switches away instead.
Fiber* new_fiber(void (*body)(void*), void* argument);
void delete_fiber(Fiber* fiber);
// From the scheduler into a fiber, until it calls leave_fiber.
void enter_fiber(Fiber* fiber);
void leave_fiber(Fiber* fiber);
// Whether an address is in a guard page below a fiber's stack.
bool is_stack_overflow(Fiber* fiber, const void* address);
