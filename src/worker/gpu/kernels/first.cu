// What all kernels use, and those of no layer. One program with the other files of this folder, compiled
// once with REAL float and once with REAL double. Sizes are 32 bits wide. Images are (batch, height,
// width, channels), row by row without gaps.

typedef REAL real;

// The number of this thread among all of a grid in a row.
static __device__ __forceinline__ unsigned thread_of_grid() {
    return blockIdx.x * blockDim.x + threadIdx.x;
}

// sum[i] += part[i]
extern "C" __global__ void add_to(real *__restrict__ sum, const real *__restrict__ part, unsigned count) {
    unsigned i = thread_of_grid();
    if (i < count) sum[i] += part[i];
}
