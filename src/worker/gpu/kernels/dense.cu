// Biases, the function behind them, and the gradients of both: of dense layers, and of convolutions with
// nothing behind them.

// Neighbouring numbers, loaded and stored at once.
template <int N> struct alignas(N * sizeof(real) > 16 ? 16 : N * sizeof(real)) Few {
    real at[N];
};

typedef Few<4> Four;

template <int N> static __device__ __forceinline__ Few<N> &few_at(real *numbers) {
    return *reinterpret_cast<Few<N> *>(numbers);
}

// A value: of a reference a compiler would load one number after the other.
template <int N> static __device__ __forceinline__ Few<N> few_at(const real *numbers) {
    return *reinterpret_cast<const Few<N> *>(numbers);
}

static __device__ __forceinline__ Four &four_at(real *numbers) { return few_at<4>(numbers); }
static __device__ __forceinline__ Four four_at(const real *numbers) { return few_at<4>(numbers); }

// What is not a number stays.
static __device__ __forceinline__ real activated(real number, bool rectified) {
    return rectified && number <= 0 ? (real)0 : number;
}

// y[i] = f(y[i] + b[i % columns])
extern "C" __global__ void add_biases(real *__restrict__ y, const real *__restrict__ b, unsigned count,
                                      unsigned columns, unsigned rectified) {
    unsigned i = thread_of_grid();
    if (i < count) y[i] = activated(y[i] + b[i % columns], rectified);
}

// The same, four numbers a thread; columns is a multiple of four.
extern "C" __global__ void add_biases_by_four(real *__restrict__ y, const real *__restrict__ b, unsigned count,
                                              unsigned columns, unsigned rectified) {
    unsigned i = 4 * thread_of_grid();
    if (i >= count) return;
    Four numbers = four_at(y + i), biases = four_at(b + i % columns);
#pragma unroll
    for (int k = 0; k < 4; k++) numbers.at[k] = activated(numbers.at[k] + biases.at[k], rectified);
    four_at(y + i) = numbers;
}

// Sums of each of 32 columns of a matrix, by a block of 32 x 32 threads. The order of additions depends on
// the number of rows alone. Where there is a result y of the rectifier, only the gradients dy that pass it
// count, and they are written to passed.
static __device__ void sum_columns(const real *y, const real *dy, real *passed, real *sums, unsigned rows,
                                   unsigned columns, unsigned first) {
    unsigned column = first + threadIdx.x;
    real sum = 0;
    if (column < columns) {
        // Several rows are on their way before the first is used.
        constexpr int AHEAD = 4;
        for (unsigned row = threadIdx.y; row < rows; row += AHEAD * 32) {
            real numbers[AHEAD], results[AHEAD];
#pragma unroll
            for (int r = 0; r < AHEAD; r++) {
                bool inside = row + 32 * r < rows;
                unsigned i = (row + 32 * r) * columns + column;
                numbers[r] = inside ? dy[i] : (real)0;
                results[r] = inside && y ? y[i] : (real)1;
            }
#pragma unroll
            for (int r = 0; r < AHEAD; r++) {
                numbers[r] = results[r] > 0 ? numbers[r] : (real)0;
                if (y && row + 32 * r < rows) passed[(row + 32 * r) * columns + column] = numbers[r];
                sum += numbers[r];
            }
        }
    }
    __shared__ real parts[32][33];
    parts[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    sum = parts[threadIdx.x][threadIdx.y];
    for (unsigned half = 16; half; half /= 2) sum += __shfl_down_sync(0xffffffff, sum, half);
    column = first + threadIdx.y;
    if (sums && threadIdx.x == 0 && column < columns) sums[column] = sum;
}

// The gradient before the activation of a dense layer, and of its biases.
extern "C" __global__ void __launch_bounds__(1024)
    dense_back(const real *__restrict__ y, const real *__restrict__ dy, real *__restrict__ passed,
               real *__restrict__ sums, unsigned rows, unsigned columns) {
    sum_columns(y, dy, passed, sums, rows, columns, 32 * blockIdx.x);
}
