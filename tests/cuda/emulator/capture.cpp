// Stream capture and graphs. A captured node is the same piece of work that would have run, with its arguments; a
// launch of the graph runs all of them in the order in which they were captured. What the real driver refuses during
// a capture is refused here with the same code, and makes the capture invalid.

#include <thread>

#include "machine.h"

// What a program holds: a graph, or an executable one. Both share the nodes.
struct GraphHandle {
  std::shared_ptr<Graph> graph;
  bool auto_free = false;
  bool launched = false;
};

static std::set<Capture*> active;
static thread_local int thread_mode = 0;

CUresult run_node(Stream* stream, const Node& node);

std::recursive_mutex& capture_lock() {
  static std::recursive_mutex lock;
  return lock;
}

uint64_t this_thread() { return std::hash<std::thread::id>()(std::this_thread::get_id()); }

void invalidate(Stream* stream) {
  if (stream->capture) stream->capture->invalid = true;
}

CUresult unsafe_call() {
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  bool refused = false;
  for (Capture* capture : active) {
    bool own = capture->thread == this_thread();
    bool hit = thread_mode == 2 ? false : thread_mode == 1 ? own && capture->mode != 2 : capture->mode == 0 || (own && capture->mode == 1);
    if (hit) capture->invalid = refused = true;
  }
  return refused ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

// The legacy stream waits for all blocking streams of its context, so it cannot be used while one of them captures.
// Without a context: a wait for everything of the current one.
CUresult implicit_call(Context* context) {
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  Context* of = context ? context : current_context();
  bool refused = false;
  for (Capture* capture : active) {
    for (auto& entry : capture->streams) {
      if (entry.first->context != of || (context && entry.first->flags & 1)) continue;
      capture->invalid = refused = true;
    }
  }
  return refused ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : CUDA_SUCCESS;
}

CUresult record_node(Stream* stream, NodeType type, Work work) {
  Capture& capture = *stream->capture;
  if (capture.invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  capture.graph->nodes.push_back({type, std::move(work)});
  capture.streams[stream][stream] = ++capture.sequence;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamBeginCapture_v2(void* handle, int mode) {
  Context* context;
  TRY(enter(&context));
  Stream* stream = resolve(handle, context);
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  if (stream->legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture = std::make_shared<Capture>();
  stream->capture->origin = stream;
  stream->capture->mode = mode;
  stream->capture->thread = this_thread();
  stream->capture->graph->device = stream->context->device;
  stream->capture->streams[stream][stream] = 0;
  active.insert(stream->capture.get());
  return CUDA_SUCCESS;
}

static bool is_joined(const Capture& capture) {
  const Clock& known = capture.streams.at(capture.origin);
  for (auto& entry : capture.streams) {
    auto last = entry.second.find(entry.first), seen = known.find(entry.first);
    if (entry.first != capture.origin && (seen == known.end() || seen->second < last->second)) return false;
  }
  return true;
}

EXPORT CUresult cuStreamEndCapture(void* handle, GraphHandle** out) {
  Context* context;
  TRY(enter(&context));
  Stream* stream = resolve(handle, context);
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  std::shared_ptr<Capture> capture = stream->capture;
  *out = nullptr;
  if (!capture) return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->origin != stream) {
    capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  }
  if (capture->mode != 2 && capture->thread != this_thread()) return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  active.erase(capture.get());
  for (auto& entry : capture->streams) entry.first->capture.reset();
  if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (!is_joined(*capture)) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  *out = new GraphHandle{capture->graph};
  return CUDA_SUCCESS;
}

EXPORT CUresult cuStreamIsCapturing(void* handle, int* status) {
  Context* context;
  TRY(enter(&context));
  Stream* stream = resolve(handle, context);
  std::lock_guard<std::recursive_mutex> guard(capture_lock());
  if (stream->legacy) TRY(implicit_call(stream->context));
  *status = !stream->capture ? 0 : stream->capture->invalid ? 2 : 1;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuThreadExchangeStreamCaptureMode(int* mode) {
  std::swap(*mode, thread_mode);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphCreate(GraphHandle** out, unsigned) {
  *out = new GraphHandle{std::make_shared<Graph>()};
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphInstantiateWithFlags(GraphHandle** out, GraphHandle* graph, unsigned long long flags) {
  if (!graph) return CUDA_ERROR_INVALID_VALUE;
  *out = new GraphHandle{graph->graph, (flags & 1) != 0};
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphInstantiate_v2(GraphHandle** out, GraphHandle* graph, void**, char*, size_t) {
  return cuGraphInstantiateWithFlags(out, graph, 0);
}

EXPORT CUresult cuGraphUpload(GraphHandle* exec, void*) { return exec ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }

static CUresult run_graph(Stream* stream, const Graph& graph) {
  for (const Node& node : graph.nodes) TRY(run_node(stream, node));
  return CUDA_SUCCESS;
}

// Memory that the graph allocates and does not free makes a second launch an error, unless it was made to free it.
EXPORT CUresult cuGraphLaunch(GraphHandle* exec, void* handle) {
  Context* context;
  TRY(enter(&context));
  if (!exec) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = resolve(handle, context);
  if (exec->launched && !exec->graph->unfreed.empty() && !exec->auto_free) return CUDA_ERROR_INVALID_VALUE;
  exec->launched = true;
  std::shared_ptr<Graph> graph = exec->graph;
  return submit(stream, NodeType::Graph, [stream, graph] { return run_graph(stream, *graph); });
}

static CUresult drop(GraphHandle* handle) {
  if (!handle) return CUDA_ERROR_INVALID_VALUE;
  if (handle->graph.use_count() == 1) {
    for (CUdeviceptr pointer : handle->graph->owned) release(pointer);
  }
  delete handle;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphExecDestroy(GraphHandle* exec) { return drop(exec); }
EXPORT CUresult cuGraphDestroy(GraphHandle* graph) { return drop(graph); }

EXPORT CUresult cuGraphGetNodes(GraphHandle* graph, const Node** nodes, size_t* count) {
  if (!graph) return CUDA_ERROR_INVALID_VALUE;
  size_t have = graph->graph->nodes.size();
  for (size_t i = 0; nodes && i < *count; i++) nodes[i] = i < have ? &graph->graph->nodes[i] : nullptr;
  if (!nodes || *count > have) *count = have;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuGraphNodeGetType(const Node* node, int* type) {
  *type = int(node->type);
  return CUDA_SUCCESS;
}
