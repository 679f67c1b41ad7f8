// Streams and events. Work runs when it is submitted, so a stream is never busy; what remains is the order between
// threads, and the question whether a stream captures.
#include <cstring>

#include "machine.h"

// The stream of handle 2: one for each thread and context.
static Stream* per_thread_stream(Context* context) {
  static thread_local std::map<Context*, Stream*> streams;
  Stream*& stream = streams[context];
  if (!stream) {
    stream = new Stream();
    stream->context = context;
    stream->flags = 0;
  }
  return stream;
}

Stream* resolve(void* handle, Context* context) {
  uintptr_t number = reinterpret_cast<uintptr_t>(handle);
  if (number <= 1) return context->legacy;
  if (number == 2) return per_thread_stream(context);
  return static_cast<Stream*>(handle);
}

// A device can be told to fail after a number of launches: EMULATED_GPU_LOST_AFTER=N for all, or ORDINAL:N for one.
static CUresult count_launch(Device* device) {
  uint64_t count = ++device->launches;
  const char* text = getenv("EMULATED_GPU_LOST_AFTER");
  if (!text) return device->lost ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
  const char* colon = strchr(text, ':');
  bool this_one = !colon || atoi(text) == device->ordinal;
  if (this_one && count > strtoull(colon ? colon + 1 : text, nullptr, 10)) device->lost = true;
  return device->lost ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

CUresult run_node(Stream* stream, const Node& node) {
  if (node.type == NodeType::Kernel) TRY(count_launch(stream->context->device));
  return node.work();
}

CUresult submit(Stream* stream, NodeType type, Work work) {
  {
    std::lock_guard<std::recursive_mutex> guard(capture_lock());
    if (stream->capture) return record_node(stream, type, std::move(work));
    if (stream->legacy) TRY(implicit_call(stream->context));
  }
  std::lock_guard<std::recursive_mutex> guard(stream->order);
  return run_node(stream, {type, std::move(work)});
}

EXPORT CUresult cuStreamCreate(Stream** out, unsigned flags) {
  Context* context;
  TRY(enter(&context));
  *out = new Stream();
  (*out)->context = context;
  (*out)->flags = flags;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamCreateWithPriority(Stream** out, unsigned flags, int) { return cuStreamCreate(out, flags); }

EXPORT CUresult cuStreamDestroy_v2(Stream* stream) {
  if (reinterpret_cast<uintptr_t>(stream) <= 2) return CUDA_ERROR_INVALID_HANDLE;
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  invalidate(stream);
  stream->context = nullptr;      // kept: a use after this is found, not undefined
  return CUDA_SUCCESS;
}

// A stream for a call on it: of which context it is, and that it still is.
static CUresult open_stream(void* handle, Stream** stream) {
  Context* context;
  TRY(enter(&context));
  *stream = resolve(handle, context);
  if (!(*stream)->context) emulated_abort("a destroyed stream is used");
  return (*stream)->context->device->lost ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

// Waiting for a capturing stream cannot end: the capture is lost, and the call says so.
static CUresult wait_for(void* handle) {
  Stream* stream;
  TRY(open_stream(handle, &stream));
  {
    std::lock_guard<std::recursive_mutex> guard(capture_lock());
    if (stream->capture) {
      bool was_invalid = stream->capture->invalid;
      invalidate(stream);
      return was_invalid ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    if (stream->legacy) TRY(implicit_call(stream->context));
  }
  std::lock_guard<std::recursive_mutex> guard(stream->order);
  return stream->context->device->lost ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

EXPORT CUresult cuStreamSynchronize(void* handle) { return wait_for(handle); }
EXPORT CUresult cuStreamQuery(void* handle) { return wait_for(handle); }

EXPORT CUresult cuStreamGetFlags(void* handle, unsigned* flags) {
  Stream* stream;
  TRY(open_stream(handle, &stream));
  *flags = stream->flags;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamGetPriority(void*, int* priority) { *priority = 0; return CUDA_SUCCESS; }

EXPORT CUresult cuStreamGetCtx(void* handle, Context** context) {
  Stream* stream;
  TRY(open_stream(handle, &stream));
  *context = stream->context;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamAttachMemAsync(void*, CUdeviceptr, size_t, unsigned) { return CUDA_SUCCESS; }

EXPORT CUresult cuLaunchHostFunc(void* handle, void (*function)(void*), void* data) {
  Stream* stream;
  TRY(open_stream(handle, &stream));
  return submit(stream, NodeType::Host, [=] { function(data); return CUDA_SUCCESS; });
}

EXPORT CUresult cuEventCreate(Event** out, unsigned flags) {
  Context* context;
  TRY(enter(&context));
  *out = new Event();
  (*out)->context = context;
  (*out)->flags = flags;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuEventDestroy_v2(Event* event) {
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  event->context = nullptr;
  event->capture.reset();
  return CUDA_SUCCESS;
}

static Work record_work(Event* event) {
  return [event] {
    if (!event->context) emulated_abort("a destroyed event is recorded");
    event->seconds = host_seconds();
    event->recorded = true;
    event->capture.reset();
    return CUDA_SUCCESS;
  };
}

EXPORT CUresult cuEventRecordWithFlags(Event* event, void* handle, unsigned flags) {
  Stream* stream;
  TRY(open_stream(handle, &stream));
  if (!event || !event->context) return CUDA_ERROR_INVALID_HANDLE;
  if (event->context != stream->context) return CUDA_ERROR_INVALID_HANDLE;
  std::unique_lock<std::recursive_mutex> guard(capture_lock());
  if (!stream->capture || flags & 1) {
    guard.unlock();
    return submit(stream, NodeType::RecordEvent, record_work(event));
  }
  if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  event->capture = stream->capture;                 // an edge of the graph, not a time
  event->clock = stream->capture->streams[stream];
  return CUDA_SUCCESS;
}

EXPORT CUresult cuEventRecord(Event* event, void* stream) { return cuEventRecordWithFlags(event, stream, 0); }

// The stream joins the capture of the event, or learns of more of its nodes.
static CUresult wait_in_capture(Stream* stream, Event* event) {
  std::shared_ptr<Capture> capture = event->capture;
  if (stream->capture && stream->capture != capture) {
    invalidate(stream);
    capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  if (stream->legacy) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  bool joins = !stream->capture;
  stream->capture = capture;
  Clock& clock = capture->streams[stream];
  for (auto& entry : event->clock) clock[entry.first] = std::max(clock[entry.first], entry.second);
  if (joins) clock[stream] = ++capture->sequence;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamWaitEvent(void* handle, Event* event, unsigned flags) {
  Stream* stream;
  TRY(open_stream(handle, &stream));
  if (!event || !event->context) return CUDA_ERROR_INVALID_HANDLE;
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  if (event->capture && !(flags & 1)) return wait_in_capture(stream, event);
  if (!stream->capture) return CUDA_SUCCESS;
  if (flags & 1) return record_node(stream, NodeType::WaitEvent, [] { return CUDA_SUCCESS; });
  if (!event->recorded) return CUDA_SUCCESS;
  invalidate(stream);                               // work outside of the graph cannot be waited for in it
  return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
}

static CUresult query(Event* event) {
  Context* context;
  TRY(enter(&context));
  if (!event || !event->context) return CUDA_ERROR_INVALID_HANDLE;
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  if (event->capture) {
    event->capture->invalid = true;
    return CUDA_ERROR_CAPTURED_EVENT;
  }
  return event->context->device->lost ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

EXPORT CUresult cuEventQuery(Event* event) {
  TRY(unsafe_call());
  return query(event);
}
EXPORT CUresult cuEventSynchronize(Event* event) {
  TRY(unsafe_call());
  return query(event);
}

EXPORT CUresult cuEventElapsedTime_v2(float* milliseconds, Event* start, Event* end) {
  Context* context;
  TRY(enter(&context));
  if (!start || !end || !start->context || !end->context) return CUDA_ERROR_INVALID_HANDLE;
  if ((start->flags | end->flags) & 2) return CUDA_ERROR_INVALID_HANDLE;
  if (start->context != end->context) return CUDA_ERROR_INVALID_HANDLE;
  if (start->capture || end->capture) return CUDA_ERROR_CAPTURED_EVENT;
  if (!start->recorded || !end->recorded) return CUDA_ERROR_INVALID_HANDLE;
  *milliseconds = float((end->seconds - start->seconds) * 1e3);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuEventElapsedTime(float* milliseconds, Event* start, Event* end) { return cuEventElapsedTime_v2(milliseconds, start, end); }

EXPORT CUresult cuCtxSynchronize() {
  Context* context;
  TRY(enter(&context));
  return implicit_call(nullptr) ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}
