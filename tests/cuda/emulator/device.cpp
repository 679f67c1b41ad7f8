// Devices and contexts: how many there are (EMULATED_GPUS, or EMULATED_GPU_UUIDS), which of them the process sees
// (CUDA_VISIBLE_DEVICES), how much memory they have (EMULATED_GPU_MEMORY).
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "machine.h"

static std::vector<Device*> all_devices;
static CUresult initialised = CUDA_ERROR_NOT_INITIALIZED;
static thread_local std::vector<Context*> context_stack;

std::vector<Device*>& devices() { return all_devices; }

void emulated_abort(const char* format, ...) {
  va_list values;
  va_start(values, format);
  fprintf(stderr, "emulated GPU: ");
  vfprintf(stderr, format, values);
  fprintf(stderr, "\n");
  va_end(values);
  abort();
}

double host_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

static std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    size_t end = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

static std::vector<std::string> machine_uuids() {
  if (const char* uuids = getenv("EMULATED_GPU_UUIDS")) return *uuids ? split(uuids) : std::vector<std::string>();
  const char* count = getenv("EMULATED_GPUS");
  std::vector<std::string> uuids;
  for (int i = 0; i < (count ? atoi(count) : 2); i++) {
    char uuid[64];
    snprintf(uuid, sizeof uuid, "GPU-e0000000-0000-4000-8000-%012x", i);
    uuids.push_back(uuid);
  }
  return uuids;
}

// As the driver reads it: indices or (beginnings of) UUIDs; the first that names no device ends the list.
static std::vector<std::string> visible_uuids() {
  std::vector<std::string> machine = machine_uuids(), visible;
  const char* wanted = getenv("CUDA_VISIBLE_DEVICES");
  if (!wanted) return machine;
  for (const std::string& word : split(wanted)) {
    const std::string* found = nullptr;
    for (size_t i = 0; i < machine.size(); i++) {
      bool by_uuid = word.size() > 4 && machine[i].compare(0, word.size(), word) == 0;
      if (by_uuid || word == std::to_string(i)) found = &machine[i];
    }
    if (!found) break;
    visible.push_back(*found);
  }
  return visible;
}

static size_t memory_of_a_device() {
  const char* text = getenv("EMULATED_GPU_MEMORY");
  if (!text) return size_t(8) << 30;
  char* unit;
  double value = strtod(text, &unit);
  return size_t(value * (*unit == 'G' ? 1 << 30 : *unit == 'M' ? 1 << 20 : *unit == 'K' ? 1 << 10 : 1));
}

static void add_device(int ordinal, const std::string& uuid) {
  Device* device = new Device();
  device->ordinal = ordinal;
  device->uuid = uuid;
  device->memory = memory_of_a_device();
  size_t digits = 0;
  for (char c : uuid.substr(uuid.size() < 4 ? 0 : 4)) {
    if (!isxdigit(c) || digits == 32) continue;
    unsigned value = unsigned(isdigit(c) ? c - '0' : (c | 32) - 'a' + 10);
    unsigned char& byte = device->uuid_bytes[digits / 2];
    byte = digits++ % 2 ? byte | value : value << 4;
  }
  device->context.device = device;
  device->context.primary = true;
  device->context.legacy = new Stream();
  device->context.legacy->context = &device->context;
  device->context.legacy->flags = 0;
  device->context.legacy->legacy = true;
  all_devices.push_back(device);
}

Context* current_context() { return context_stack.empty() ? nullptr : context_stack.back(); }

CUresult current_device(Device** device) {
  Context* context;
  TRY(enter(&context));
  *device = context->device;
  return CUDA_SUCCESS;
}

CUresult enter(Context** context) {
  if (initialised != CUDA_SUCCESS) return initialised;
  *context = current_context();
  if (!*context) return CUDA_ERROR_INVALID_CONTEXT;
  return (*context)->device->lost ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

static Device* find_device(CUdevice ordinal) {
  return ordinal >= 0 && size_t(ordinal) < all_devices.size() ? all_devices[size_t(ordinal)] : nullptr;
}

#define DEVICE(variable, ordinal)                                    \
  if (initialised != CUDA_SUCCESS) return initialised;               \
  Device* variable = find_device(ordinal);                           \
  if (!variable) return CUDA_ERROR_INVALID_DEVICE

EXPORT CUresult cuInit(unsigned flags) {
  static std::once_flag once;
  std::call_once(once, [] {
    std::vector<std::string> uuids = visible_uuids();
    for (size_t i = 0; i < uuids.size(); i++) add_device(int(i), uuids[i]);
    initialised = uuids.empty() ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
  });
  return flags ? CUDA_ERROR_INVALID_VALUE : initialised;
}

EXPORT CUresult cuDriverGetVersion(int* version) { *version = 13000; return CUDA_SUCCESS; }

EXPORT CUresult cuDeviceGetCount(int* count) {
  *count = int(all_devices.size());
  return initialised;
}

EXPORT CUresult cuDeviceGet(CUdevice* out, int ordinal) {
  DEVICE(device, ordinal);
  *out = device->ordinal;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetName(char* name, int length, CUdevice ordinal) {
  DEVICE(device, ordinal);
  (void)device;
  snprintf(name, size_t(length), "xrun emulated device (no GPU)");
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetUuid_v2(unsigned char* uuid, CUdevice ordinal) {
  DEVICE(device, ordinal);
  memcpy(uuid, device->uuid_bytes, 16);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetUuid(unsigned char* uuid, CUdevice ordinal) { return cuDeviceGetUuid_v2(uuid, ordinal); }

EXPORT CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice ordinal) {
  DEVICE(device, ordinal);
  *bytes = device->memory;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice ordinal) {
  DEVICE(device, ordinal);
  snprintf(text, size_t(length), "0000:%02x:00.0", device->ordinal + 1);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice ordinal) {
  DEVICE(device, ordinal);
  static const std::map<int, int> known = {
      {1, 1024}, {2, 1024}, {3, 1024}, {4, 64}, {5, 2147483647}, {6, 65535}, {7, 65535}, {8, 49152}, {9, 65536}, {10, 32}, {12, 65536},
      {13, 1980000}, {16, 132}, {19, 1}, {31, 1}, {36, 2619000}, {37, 5120}, {38, 52428800}, {39, 2048}, {40, 3}, {41, 1}, {75, 9}, {76, 0},
      {78, 1}, {79, 1}, {80, 1}, {81, 233472}, {82, 65536}, {83, 1}, {95, 1}, {97, 232448}, {106, 32}, {115, 1}};
  auto found = known.find(attribute);
  *value = attribute == 33 ? device->ordinal + 1 : found == known.end() ? 0 : found->second;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxRetain(Context** context, CUdevice ordinal) {
  DEVICE(device, ordinal);
  device->retained++;
  *context = &device->context;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice ordinal) {
  DEVICE(device, ordinal);
  if (device->retained > 0) device->retained--;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxGetState(CUdevice ordinal, unsigned* flags, int* active) {
  DEVICE(device, ordinal);
  *flags = 0;
  *active = device->retained > 0;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice, unsigned) { return CUDA_SUCCESS; }

EXPORT CUresult cuCtxSetCurrent(Context* context) {
  if (initialised != CUDA_SUCCESS) return initialised;
  if (!context_stack.empty()) context_stack.pop_back();
  if (context) context_stack.push_back(context);
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxGetCurrent(Context** context) { *context = current_context(); return initialised; }

EXPORT CUresult cuCtxPushCurrent_v2(Context* context) {
  context_stack.push_back(context);
  return initialised;
}

EXPORT CUresult cuCtxPopCurrent_v2(Context** context) {
  if (context_stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (context) *context = context_stack.back();
  context_stack.pop_back();
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxGetDevice(CUdevice* out) {
  Context* context = current_context();
  if (!context) return CUDA_ERROR_INVALID_CONTEXT;
  *out = context->device->ordinal;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxSetFlags(unsigned) { return current_context() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT; }
EXPORT CUresult cuCtxGetFlags(unsigned* flags) { *flags = 0; return CUDA_SUCCESS; }
EXPORT CUresult cuCtxGetApiVersion(Context*, unsigned* version) { *version = 13000; return CUDA_SUCCESS; }
EXPORT CUresult cuCtxGetLimit(size_t* value, int) { *value = 8 << 20; return CUDA_SUCCESS; }
EXPORT CUresult cuCtxSetLimit(int, size_t) { return CUDA_SUCCESS; }
EXPORT CUresult cuCtxGetCacheConfig(int* config) { *config = 0; return CUDA_SUCCESS; }
EXPORT CUresult cuCtxSetCacheConfig(int) { return CUDA_SUCCESS; }

EXPORT CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceCanAccessPeer(int* can, CUdevice ordinal, CUdevice other) {
  DEVICE(device, ordinal);
  DEVICE(peer, other);
  *can = device != peer;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuDeviceGetP2PAttribute(int* value, int attribute, CUdevice ordinal, CUdevice other) {
  *value = 0;
  return attribute == 2 || attribute == 3 ? cuDeviceCanAccessPeer(value, ordinal, other) : CUDA_SUCCESS;
}

EXPORT CUresult cuCtxEnablePeerAccess(Context* peer, unsigned) {
  Context* context;
  TRY(enter(&context));
  if (peer->device == context->device) return CUDA_ERROR_INVALID_DEVICE;
  return context->peers.insert(peer->device).second ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
}

EXPORT CUresult cuCtxDisablePeerAccess(Context* peer) {
  Context* context;
  TRY(enter(&context));
  return context->peers.erase(peer->device) ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}
