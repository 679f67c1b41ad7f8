// Where the ranks of one communicator meet: memory that all of them have, threads of one process or processes.
#pragma once

#include <cstddef>
#include <string>

struct Room;

enum class Met { Yes, Left, Late };

// Opens the room of that name for `ranks`, as `rank` on the device of that UUID. Does not wait.
Room* enter_room(const std::string& name, int ranks, int rank, const unsigned char uuid[16]);
// Waits until all ranks are there. `shared_device` says whether two have the same device.
Met meet(Room* room, bool* shared_device);
void leave_room(Room* room);
int rank_of(const Room* room);
int ranks_of(const Room* room);

// Memory of kSlot bytes that a rank fills and all read.
const size_t kSlot = 256 << 10;
void* slot(Room* room, int rank);
// Says that this rank has come to its next barrier, and waits for the others to come to it.
void arrive(Room* room);
Met wait_for_others(Room* room);
