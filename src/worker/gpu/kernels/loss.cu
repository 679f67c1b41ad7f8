// What is summed over a whole tensor: losses, and squares of weights. Sums are in f64, of blocks and then
// of the grid in the order of its blocks, so that they have the same bits in every run.

// The sum over a block of at most 1024 threads, a multiple of 32, as its first thread knows it.
static __device__ double sum_of_block(double mine) {
    __shared__ double sums[32];
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (unsigned step = 16; step > 0; step /= 2) mine += __shfl_down_sync(0xffffffffu, mine, step);
    __syncthreads();
    if (lane == 0) sums[warp] = mine;
    __syncthreads();
    if (warp > 0) return 0;
    mine = lane < blockDim.x / 32 ? sums[lane] : 0.0;
    for (unsigned step = 16; step > 0; step /= 2) mine += __shfl_down_sync(0xffffffffu, mine, step);
    return mine;
}

// Sets `out` to `factor` times the sum over a grid. `sums` has a place for each block; `arrived` is zero
// before and behind: the block that comes last adds up what all blocks have written.
static __device__ void sum_of_grid(double mine, double factor, double *sums, unsigned *arrived, real *out) {
    __shared__ bool is_last;
    mine = sum_of_block(mine);
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = mine;
        __threadfence();
        is_last = atomicInc(arrived, gridDim.x - 1) == gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    if (!is_last) return;
    double sum = 0;
    for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x) sum += __ldcg(sums + block);
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) *out = real(factor * sum);
}

// out = factor · Σ (x − target)²
extern "C" __global__ void squared_error_forward(
    const real *__restrict__ x, const real *__restrict__ targets, double factor, double *sums,
    unsigned *arrived, real *out, unsigned count
) {
    double sum = 0;
    for (unsigned i = thread_of_grid(); i < count; i += gridDim.x * blockDim.x) {
        double error = x[i] - targets[i];
        sum += error * error;
    }
    sum_of_grid(sum, factor, sums, arrived, out);
}

// dx = 2 · factor · dy · (x − target)
extern "C" __global__ void squared_error_backward(
    const real *__restrict__ x, const real *__restrict__ targets, const real *__restrict__ dy, double factor,
    real *__restrict__ dx, unsigned count
) {
    unsigned i = thread_of_grid();
    if (i < count) dx[i] = real(2.0 * dy[0] * factor) * (x[i] - targets[i]);
}

// out = ½ Σ w²
extern "C" __global__ void half_square_forward(
    const real *__restrict__ w, double *sums, unsigned *arrived, real *out, unsigned count
) {
    double sum = 0;
    for (unsigned i = thread_of_grid(); i < count; i += gridDim.x * blockDim.x) {
        double number = w[i];
        sum += number * number;
    }
    sum_of_grid(sum, 0.5, sums, arrived, out);
}

// dw = dy · w
extern "C" __global__ void half_square_backward(
    const real *__restrict__ w, const real *__restrict__ dy, real *__restrict__ dw, unsigned count
) {
    unsigned i = thread_of_grid();
    if (i < count) dw[i] = dy[0] * w[i];
}

// What the softmax of a row follows from.
struct Softmax {
    real largest;
    // Σ e^(z − largest) without the term of the first of the largest, which is 1: nothing overflows, and
    // what is small is not lost beside the 1.
    real others;
};

static __device__ Softmax softmax_of(const real *row, unsigned classes) {
    unsigned at = 0;
    Softmax softmax = {row[0], 0};
    for (unsigned c = 1; c < classes; c++) {
        real z = row[c];
        if (z > softmax.largest) {
            softmax.largest = z;
            at = c;
        }
    }
    for (unsigned c = 0; c < classes; c++) {
        if (c != at) softmax.others += exp(row[c] - softmax.largest);
    }
    return softmax;
}

// out = 1/batch · Σ log(Σ e^z[c] / e^z[label]), a thread for each row. No number where a label is no class.
extern "C" __global__ void cross_entropy_forward(
    const real *__restrict__ logits, const unsigned *__restrict__ labels, double *sums, unsigned *arrived,
    real *out, unsigned classes, unsigned batch
) {
    unsigned example = thread_of_grid();
    double loss = 0;
    if (example < batch) {
        const real *row = logits + example * classes;
        unsigned label = labels[example];
        Softmax softmax = softmax_of(row, classes);
        loss = label < classes ? log1p(softmax.others) + (softmax.largest - row[label]) : nan("");
    }
    sum_of_grid(loss, 1.0 / batch, sums, arrived, out);
}

// dx = (softmax(z) − onehot(label)) · dy / batch, a thread for each row.
extern "C" __global__ void cross_entropy_backward(
    const real *__restrict__ logits, const unsigned *__restrict__ labels, const real *__restrict__ dy,
    real *__restrict__ dx, unsigned classes, unsigned batch
) {
    unsigned example = thread_of_grid();
    if (example >= batch) return;
    const real *row = logits + example * classes;
    dx += example * classes;
    unsigned label = labels[example];
    Softmax softmax = softmax_of(row, classes);
    real sum = real(1) + softmax.others, scale = dy[0] / real(batch);
    for (unsigned c = 0; c < classes; c++) {
        real right = c == label ? real(1) : real(0);
        dx[c] = (exp(row[c] - softmax.largest) / sum - right) * scale;
    }
}
