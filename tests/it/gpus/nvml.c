// A stand-in for NVIDIA's libnvidia-ml.so.1 whose GPUs are lines of the text file that NVML_GPUS names. It
// is read again for each call, so that a test changes the machine while a run goes on.
//
//   driver 580.65.06
//   cuda 13000
//   gpu GPU-1 9 0 85899345920 1048576 00000000:3B:00.0 NVIDIA H100
//   process GPU-1 4242 1073741824 /usr/bin/python3
//   state GPU-1 1980 61 350000 4
//   lost GPU-1
//   mig GPU-1
//
// A gpu has its UUID, compute capability, memory in all and in use, bus and name; its state is of clock,
// temperature, milliwatts and reasons of lower clocks.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID = 2, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15, MOST = 16 };

typedef struct {
    char uuid[80], bus[32], name[96];
    int major, minor, lost, mig;
    unsigned clock, celsius, milliwatts;
    unsigned long long total, used, reasons;
} Gpu;

typedef struct {
    char uuid[80], name[96];
    unsigned pid;
    unsigned long long bytes;
} Process;

static struct {
    char driver[80];
    int cuda, gpus, processes;
    Gpu gpu[MOST];
    Process process[MOST];
} machine;

static Gpu *find(const char *uuid) {
    for (int i = 0; i < machine.gpus; i++)
        if (!strcmp(machine.gpu[i].uuid, uuid)) return &machine.gpu[i];
    return NULL;
}

static void take(const char *line) {
    Gpu gpu = {0};
    Process process = {0};
    char uuid[80];
    sscanf(line, "driver %79s", machine.driver);
    sscanf(line, "cuda %d", &machine.cuda);
    if (sscanf(line, "gpu %79s %d %d %llu %llu %31s %95[^\n]", gpu.uuid, &gpu.major, &gpu.minor, &gpu.total,
               &gpu.used, gpu.bus, gpu.name) == 7 && machine.gpus < MOST)
        machine.gpu[machine.gpus++] = gpu;
    if (sscanf(line, "process %79s %u %llu %95[^\n]", process.uuid, &process.pid, &process.bytes,
               process.name) == 4 && machine.processes < MOST)
        machine.process[machine.processes++] = process;
    if (sscanf(line, "state %79s", uuid) == 1 && find(uuid)) {
        Gpu *of = find(uuid);
        sscanf(line, "state %*s %u %u %u %llu", &of->clock, &of->celsius, &of->milliwatts, &of->reasons);
    }
    if (sscanf(line, "lost %79s", uuid) == 1 && find(uuid)) find(uuid)->lost = 1;
    if (sscanf(line, "mig %79s", uuid) == 1 && find(uuid)) find(uuid)->mig = 1;
}

static void look(void) {
    const char *path = getenv("NVML_GPUS");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512];
    memset(&machine, 0, sizeof machine);
    while (file && fgets(line, sizeof line, file)) take(line);
    if (file) fclose(file);
}

// A device is the number of its line from 1, so that it stays valid.
typedef size_t Device;

static int gpu_of(Device device, Gpu **gpu) {
    look();
    if (device < 1 || device > (size_t)machine.gpus) return INVALID;
    *gpu = &machine.gpu[device - 1];
    return (*gpu)->lost ? LOST : OK;
}

static int text(char *to, unsigned size, const char *from) {
    if (strlen(from) >= size) return TOO_SMALL;
    strcpy(to, from);
    return OK;
}

int nvmlInit_v2(void) { look(); return OK; }
int nvmlShutdown(void) { return OK; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { look(); return text(to, size, machine.driver); }
int nvmlSystemGetCudaDriverVersion_v2(int *to) { look(); *to = machine.cuda; return OK; }
int nvmlDeviceGetCount_v2(unsigned *to) { look(); *to = machine.gpus; return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *to) {
    Gpu *gpu;
    *to = index + 1;
    return gpu_of(*to, &gpu);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device *to) {
    look();
    Gpu *gpu = find(uuid);
    if (!gpu) return NOT_FOUND;
    *to = gpu - machine.gpu + 1;
    return gpu->lost ? LOST : OK;
}

int nvmlDeviceGetUUID(Device device, char *to, unsigned size) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    return error ? error : text(to, size, gpu->uuid);
}

int nvmlDeviceGetMigMode(Device device, unsigned *current, unsigned *pending) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    if (!error) *current = *pending = gpu->mig;
    return error;
}

int nvmlDeviceGetName(Device device, char *to, unsigned size) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    return error ? error : text(to, size, gpu->name);
}

int nvmlDeviceGetCudaComputeCapability(Device device, int *major, int *minor) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    if (error) return error;
    *major = gpu->major, *minor = gpu->minor;
    return OK;
}

int nvmlDeviceGetClockInfo(Device device, int kind, unsigned *to) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    (void)kind;
    if (!error) *to = gpu->clock;
    return error;
}

int nvmlDeviceGetTemperature(Device device, int sensor, unsigned *to) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    (void)sensor;
    if (!error) *to = gpu->celsius;
    return error;
}

int nvmlDeviceGetPowerUsage(Device device, unsigned *to) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    if (!error) *to = gpu->milliwatts;
    return error;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(Device device, unsigned long long *to) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    if (!error) *to = gpu->reasons;
    return error;
}

typedef struct {
    unsigned version;
    unsigned long long total, reserved, free, used;
} Memory;

int nvmlDeviceGetMemoryInfo_v2(Device device, Memory *to) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    if (error) return error;
    to->total = gpu->total, to->reserved = 0, to->used = gpu->used, to->free = gpu->total - gpu->used;
    return OK;
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
} Pci;

int nvmlDeviceGetPciInfo_v3(Device device, Pci *to) {
    Gpu *gpu;
    int error = gpu_of(device, &gpu);
    if (error) return error;
    memset(to, 0, sizeof *to);
    strcpy(to->bus_id, gpu->bus);
    return OK;
}

typedef struct {
    unsigned pid;
    unsigned long long bytes;
    unsigned gpu_instance, compute_instance;
} Listed;

int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned *count, Listed *to) {
    Gpu *gpu;
    unsigned found = 0, room = *count;
    int error = gpu_of(device, &gpu);
    if (error) return error;
    for (int i = 0; i < machine.processes; i++) {
        Process *process = &machine.process[i];
        if (strcmp(process->uuid, gpu->uuid)) continue;
        if (found < room) to[found] = (Listed){process->pid, process->bytes, ~0u, ~0u};
        found++;
    }
    *count = found;
    return found > room ? TOO_SMALL : OK;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(Device device, unsigned *count, Listed *to) {
    Gpu *gpu;
    *count = 0;
    (void)to;
    return gpu_of(device, &gpu);
}

int nvmlSystemGetProcessName(unsigned pid, char *to, unsigned size) {
    look();
    for (int i = 0; i < machine.processes; i++)
        if (machine.process[i].pid == pid) return text(to, size, machine.process[i].name);
    return NOT_FOUND;
}
