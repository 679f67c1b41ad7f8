// NCCL: communicators and all-reduce, between threads and between processes. What stands in a group runs together
// when the group ends; a captured all-reduce meets its peers when the graph is launched.
#include <atomic>
#include <cstring>
#include <unistd.h>

#include "machine.h"
#include "nccl_room.h"

typedef int ncclResult_t;
enum : ncclResult_t { SUCCESS = 0, CUDA_FAILED = 1, SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, REMOTE_ERROR = 6 };
enum { INT32 = 2, UINT32 = 3, INT64 = 4, UINT64 = 5, FLOAT32 = 7, FLOAT64 = 8 };
enum { SUM = 0, PRODUCT = 1, MAXIMUM = 2, MINIMUM = 3, AVERAGE = 4 };

struct UniqueId {
  char internal[128];
};

struct Comm {
  Context* context;
  Room* room;
};

struct Reduce {
  Comm* comm;
  CUdeviceptr from, to;
  size_t count;
  int type, operation;
  Stream* stream;
};

struct Joining {
  Comm** out;
  Comm* comm;
};

static thread_local int group_depth = 0;
static thread_local std::vector<Reduce> group_reduces;
static thread_local std::vector<Joining> group_joins;

static size_t size_of(int type) { return type == INT32 || type == UINT32 || type == FLOAT32 ? 4 : 8; }
static bool is_known(int type) { return (type >= INT32 && type <= UINT64) || type == FLOAT32 || type == FLOAT64; }

template <class T> static void fold(Room* room, void* to, size_t count, int operation) {
  T* sum = static_cast<T*>(to);
  for (int rank = 0; rank < ranks_of(room); rank++) {
    const T* from = static_cast<const T*>(slot(room, rank));
    for (size_t i = 0; i < count; i++) {
      switch (rank == 0 ? -1 : operation) {
        case -1: sum[i] = from[i]; break;
        case PRODUCT: sum[i] *= from[i]; break;
        case MAXIMUM: sum[i] = std::max(sum[i], from[i]); break;
        case MINIMUM: sum[i] = std::min(sum[i], from[i]); break;
        default: sum[i] += from[i];
      }
    }
  }
  for (size_t i = 0; operation == AVERAGE && i < count; i++) sum[i] /= T(ranks_of(room));
}

static void fold_chunk(const Reduce& r, size_t start, size_t count) {
  void* to = reinterpret_cast<void*>(r.to + start * size_of(r.type));
  switch (r.type) {
    case INT32: return fold<int32_t>(r.comm->room, to, count, r.operation);
    case UINT32: return fold<uint32_t>(r.comm->room, to, count, r.operation);
    case INT64: return fold<int64_t>(r.comm->room, to, count, r.operation);
    case UINT64: return fold<uint64_t>(r.comm->room, to, count, r.operation);
    case FLOAT32: return fold<float>(r.comm->room, to, count, r.operation);
    default: return fold<double>(r.comm->room, to, count, r.operation);
  }
}

static CUresult wait_all(const std::vector<Reduce>& reduces) {
  for (const Reduce& r : reduces) {
    Met met = wait_for_others(r.comm->room);
    if (met == Met::Late) emulated_abort("NCCL: rank %d of %d waits for the others, who do not come to its all-reduce", rank_of(r.comm->room), ranks_of(r.comm->room));
    if (met == Met::Left) return CUDA_ERROR_LAUNCH_FAILED;
  }
  return CUDA_SUCCESS;
}

// One all-reduce of each communicator, side by side, in pieces of a slot: every rank puts its piece, all have come,
// every rank adds all pieces in the order of the ranks, all have read.
static CUresult run_round(const std::vector<Reduce>& reduces) {
  size_t pieces = 0;
  auto length = [](const Reduce& r) { return kSlot / size_of(r.type); };
  for (const Reduce& r : reduces) {
    check_range(r.from, r.count * size_of(r.type), "NCCL all-reduce, from");
    check_range(r.to, r.count * size_of(r.type), "NCCL all-reduce, to");
    pieces = std::max(pieces, (r.count + length(r) - 1) / length(r));
  }
  for (size_t piece = 0; piece < pieces; piece++) {
    std::vector<Reduce> now;
    for (const Reduce& r : reduces) {
      if (piece * length(r) < r.count) now.push_back(r);
    }
    auto count = [&](const Reduce& r) { return std::min(length(r), r.count - piece * length(r)); };
    for (const Reduce& r : now) {
      size_t size = size_of(r.type);
      memcpy(slot(r.comm->room, rank_of(r.comm->room)), reinterpret_cast<void*>(r.from + piece * length(r) * size), count(r) * size);
      arrive(r.comm->room);
    }
    TRY(wait_all(now));
    for (const Reduce& r : now) {
      fold_chunk(r, piece * length(r), count(r));
      arrive(r.comm->room);
    }
    TRY(wait_all(now));
  }
  return CUDA_SUCCESS;
}

// The first all-reduce of every communicator of a group, then the second, and so on, as all ranks have them.
static CUresult run_together(const std::vector<Reduce>& reduces) {
  std::map<Comm*, size_t> seen;
  std::vector<std::vector<Reduce>> rounds;
  for (const Reduce& r : reduces) {
    size_t round = seen[r.comm]++;
    if (round == rounds.size()) rounds.emplace_back();
    rounds[round].push_back(r);
  }
  for (const auto& round : rounds) TRY(run_round(round));
  return CUDA_SUCCESS;
}

static ncclResult_t run_reduces(std::vector<Reduce> reduces) {
  if (reduces.empty()) return SUCCESS;
  std::vector<Reduce> now;
  CUresult result = CUDA_SUCCESS;
  for (const Reduce& r : reduces) {
    bool captures;
    {
      std::lock_guard<std::recursive_mutex> guard(capture_lock());
      captures = r.stream->capture != nullptr;
    }
    if (!captures) now.push_back(r);
    CUresult one = submit(r.stream, NodeType::Kernel, captures ? Work([r] { return run_round({r}); }) : Work([] { return CUDA_SUCCESS; }));
    result = result ? result : one;
  }
  if (result == CUDA_SUCCESS) result = run_together(now);
  return result == CUDA_SUCCESS ? SUCCESS : CUDA_FAILED;
}

static ncclResult_t run_joins(const std::vector<Joining>& joins) {
  ncclResult_t result = SUCCESS;
  for (const Joining& join : joins) {
    bool shared;
    Met met = meet(join.comm->room, &shared);
    if (met != Met::Yes) result = met == Met::Left ? REMOTE_ERROR : SYSTEM_ERROR;
    if (met == Met::Yes && shared) result = INVALID_USAGE;      // "Duplicate GPU detected"
    *join.out = join.comm;
  }
  for (const Joining& join : joins) {
    if (result == SUCCESS) break;
    leave_room(join.comm->room);
    delete join.comm;
    *join.out = nullptr;
  }
  return result;
}

static void join(Comm** out, Context* context, const char* name, int ranks, int rank) {
  Comm* comm = new Comm{context, enter_room(name, ranks, rank, context->device->uuid_bytes)};
  group_joins.push_back({out, comm});
}

EXPORT ncclResult_t ncclGetVersion(int* version) { *version = 22800; return SUCCESS; }

EXPORT ncclResult_t ncclGetUniqueId(UniqueId* id) {
  static std::atomic<unsigned> number{0};
  memset(id, 0, sizeof *id);
  snprintf(id->internal, sizeof id->internal, "/emulated-nccl-%d-%u-%llx", getpid(), number++, static_cast<unsigned long long>(host_seconds() * 1e9));
  return SUCCESS;
}

EXPORT ncclResult_t ncclGroupStart() { group_depth++; return SUCCESS; }

EXPORT ncclResult_t ncclGroupEnd() {
  if (group_depth == 0) return INVALID_USAGE;
  if (--group_depth > 0) return SUCCESS;
  std::vector<Joining> joins;
  std::vector<Reduce> reduces;
  joins.swap(group_joins);
  reduces.swap(group_reduces);
  ncclResult_t result = run_joins(joins);
  return result == SUCCESS ? run_reduces(reduces) : result;
}

EXPORT ncclResult_t ncclCommInitRank(Comm** out, int ranks, UniqueId id, int rank) {
  Context* context;
  if (enter(&context) != CUDA_SUCCESS) return CUDA_FAILED;
  if (ranks < 1 || rank < 0 || rank >= ranks) return INVALID_ARGUMENT;
  ncclGroupStart();
  join(out, context, id.internal, ranks, rank);
  return ncclGroupEnd();
}
EXPORT ncclResult_t ncclCommInitRankConfig(Comm** out, int ranks, UniqueId id, int rank, void*) { return ncclCommInitRank(out, ranks, id, rank); }

EXPORT ncclResult_t ncclCommInitAll(Comm** out, int count, const int* ordinals) {
  UniqueId id;
  ncclGetUniqueId(&id);
  ncclGroupStart();
  for (int i = 0; i < count; i++) join(out + i, &devices().at(size_t(ordinals ? ordinals[i] : i))->context, id.internal, count, i);
  return ncclGroupEnd();
}

static ncclResult_t leave(Comm* comm) {
  if (!comm) return INVALID_ARGUMENT;
  leave_room(comm->room);
  delete comm;
  return SUCCESS;
}
EXPORT ncclResult_t ncclCommFinalize(Comm*) { return SUCCESS; }
EXPORT ncclResult_t ncclCommDestroy(Comm* comm) { return leave(comm); }
EXPORT ncclResult_t ncclCommAbort(Comm* comm) { return leave(comm); }
EXPORT ncclResult_t ncclCommGetAsyncError(Comm*, ncclResult_t* result) { *result = SUCCESS; return SUCCESS; }
EXPORT ncclResult_t ncclCommCount(Comm* comm, int* count) { *count = ranks_of(comm->room); return SUCCESS; }
EXPORT ncclResult_t ncclCommUserRank(Comm* comm, int* rank) { *rank = rank_of(comm->room); return SUCCESS; }
EXPORT ncclResult_t ncclCommCuDevice(Comm* comm, int* device) { *device = comm->context->device->ordinal; return SUCCESS; }

EXPORT const char* ncclGetErrorString(ncclResult_t result) {
  static const char* texts[] = {"no error", "unhandled cuda error", "unhandled system error", "internal error", "invalid argument", "invalid usage", "remote process exited or there was a network error"};
  return result >= 0 && result <= 6 ? texts[result] : "unknown result code";
}
EXPORT const char* ncclGetLastError(Comm*) { return ""; }

EXPORT ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, int type, int operation, Comm* comm, void* stream) {
  if (!comm || !is_known(type) || operation < SUM || operation > AVERAGE) return INVALID_ARGUMENT;
  Stream* on = resolve(stream, comm->context);
  if (on->context != comm->context) return INVALID_USAGE;
  ncclGroupStart();
  group_reduces.push_back({comm, reinterpret_cast<CUdeviceptr>(from), reinterpret_cast<CUdeviceptr>(to), count, type, operation, on});
  return ncclGroupEnd();
}
