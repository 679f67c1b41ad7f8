// Shared memory by a name, with one counter of arrivals for each rank: a barrier is passed when every counter has come
// as far as the own one. Waits are bounded, so that a test with a missing rank ends.
#include "nccl_room.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"

struct Seat {
  std::atomic<uint64_t> arrived;
  std::atomic<uint32_t> there, left;
  unsigned char uuid[16];
};

struct Room {
  std::string name;
  int ranks, rank;
  char* memory;
  size_t bytes;
  Seat* seats() const { return reinterpret_cast<Seat*>(memory); }
};

static double bound() {
  const char* text = getenv("EMULATED_NCCL_SECONDS");
  return text ? atof(text) : 60;
}

Room* enter_room(const std::string& name, int ranks, int rank, const unsigned char uuid[16]) {
  size_t seats = (sizeof(Seat) * size_t(ranks) + 4095) / 4096 * 4096, bytes = seats + size_t(ranks) * kSlot;
  int file = shm_open(name.c_str(), O_CREAT | O_RDWR, 0600);
  if (file < 0 || ftruncate(file, off_t(bytes))) emulated_abort("NCCL: no shared memory %s", name.c_str());
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) emulated_abort("NCCL: no shared memory %s", name.c_str());
  Room* room = new Room{name, ranks, rank, static_cast<char*>(memory), bytes};
  Seat& seat = room->seats()[rank];
  memcpy(seat.uuid, uuid, 16);
  seat.there = 1;
  return room;
}

// Waits until `done` holds for every seat; a rank that has left without it ends the wait.
template <class Done> static Met wait_until(const Room* room, Done done) {
  double end = host_seconds() + bound();
  for (int rank = 0; rank < room->ranks; rank++) {
    const Seat& seat = room->seats()[rank];
    for (unsigned look = 0; !done(seat); look++) {
      if (seat.left && !done(seat)) return Met::Left;
      if (host_seconds() > end) return Met::Late;
      look < 100 ? sched_yield() : usleep(20);
    }
  }
  return Met::Yes;
}

Met meet(Room* room, bool* shared_device) {
  Met met = wait_until(room, [](const Seat& seat) { return seat.there != 0; });
  *shared_device = false;
  for (int a = 0; a < room->ranks && met == Met::Yes; a++) {
    for (int b = 0; b < a; b++) *shared_device |= memcmp(room->seats()[a].uuid, room->seats()[b].uuid, 16) == 0;
  }
  // All have opened it, or somebody never will: the name can go.
  if (room->rank == 0 || met != Met::Yes) shm_unlink(room->name.c_str());
  return met;
}

void leave_room(Room* room) {
  room->seats()[room->rank].left = 1;
  munmap(room->memory, room->bytes);
  delete room;
}

int rank_of(const Room* room) { return room->rank; }
int ranks_of(const Room* room) { return room->ranks; }

void* slot(Room* room, int rank) { return room->memory + room->bytes - size_t(room->ranks - rank) * kSlot; }

void arrive(Room* room) { room->seats()[room->rank].arrived++; }

Met wait_for_others(Room* room) {
  uint64_t mine = room->seats()[room->rank].arrived;
  return wait_until(room, [mine](const Seat& seat) { return seat.arrived >= mine; });
}
