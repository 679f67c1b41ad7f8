// Convolutions as products of matrices whose patches are never written. Results: patches times filters.
// Gradients of filters: patches, transposed, times gradients of results.

// One result, seen from the image.
struct ConvResult {
    int image, row, column;

    __device__ ConvResult(const Conv &conv, unsigned number) {
        column = number % conv.out_width;
        row = number / conv.out_width % conv.out_height;
        image = number / conv.out_width / conv.out_height * conv.image();
    }

    __device__ void move_on(const Conv &conv, int results) {
        column += results;
        while (column >= conv.out_width) {
            column -= conv.out_width;
            if (++row < conv.out_height) continue;
            row = 0;
            image += conv.image();
        }
    }
};

// A place in a patch.
struct ConvTap {
    int u, v, c;

    __device__ ConvTap(const Conv &conv, unsigned number) {
        c = number % conv.channels;
        v = number / conv.channels % conv.kernel;
        u = number / conv.channels / conv.kernel;
    }

    __device__ void move_on(const Conv &conv, int numbers) {
        c += numbers;
        while (c >= conv.channels) {
            c -= conv.channels;
            if (++v < conv.kernel) continue;
            v = 0;
            u++;
        }
    }

    __device__ bool is_inside(const Conv &conv) const { return u < conv.kernel; }
};

// Terms are places in patches, the 64 of a line are results. A thread brings four numbers in a row of the
// patches of four results, or 16 of one.
template <bool FOUR> struct Patches {
    const real *x;
    const Conv &conv;
    ConvTap tap;
    int images[4], rows[4], columns[4];

    __device__ Patches(const real *x, const Conv &conv, unsigned first, unsigned results)
        : x(x), conv(conv), tap(conv, FOUR ? threadIdx.x % 4 * 4 : 0) {
#pragma unroll
        for (int i = 0; i < (FOUR ? 4 : 1); i++) {
            unsigned number = first + (FOUR ? threadIdx.x / 4 + 16 * i : threadIdx.x);
            ConvResult result(conv, number);
            images[i] = result.image;
            // Results that are not there see nothing but what is above the image.
            rows[i] = number < results ? result.row : -conv.kernel - conv.out_height;
            columns[i] = result.column;
        }
    }

    __device__ void load(TileLoad &load) {
        const int step = FOUR ? TILE_DEPTH : 1;
#pragma unroll
        for (int i = 0; i < (FOUR ? 4 : 16); i++) {
            int result = FOUR ? i % 4 : 0;
            int from = conv.seen(rows[result], columns[result], tap.u, tap.v);
            const real *numbers = x + images[result] + from + tap.c;
            bool inside = tap.is_inside(conv) && from >= 0;
            if (FOUR) load.fours[i % 4] = inside ? four_at(numbers) : Four{};
            else load.at(i) = inside ? *numbers : (real)0;
            if (!FOUR || i == 3) tap.move_on(conv, step);
        }
    }

    __device__ void put(TileStep &step, TileLoad &load) const {
        int t = threadIdx.x;
#pragma unroll
        for (int i = 0; i < 16; i++) {
            if (FOUR) step.line(t % 4 * 4 + i % 4)[t / 4 + i / 4 * 16] = load.at(i);
            else step.line(i)[t] = load.at(i);
        }
    }
};

// Terms are results, the 64 of a line are places in patches.
template <bool FOUR> struct TransposedPatches {
    const real *x;
    const Conv &conv;
    ConvTap tap;
    ConvResult result;
    unsigned number, results;

    // Of the results from `first` on and before `results`.
    __device__ TransposedPatches(const real *x, const Conv &conv, unsigned place, unsigned first, unsigned results)
        : x(x), conv(conv), tap(conv, place + (FOUR ? threadIdx.x % 16 * 4 : threadIdx.x)),
          result(conv, first + (FOUR ? threadIdx.x / 16 : 0)), number(first + (FOUR ? threadIdx.x / 16 : 0)),
          results(results) {}

    __device__ void load(TileLoad &load) {
        const int step = FOUR ? 4 : 1;
#pragma unroll
        for (int i = 0; i < TILE_DEPTH / step; i++) {
            int from = conv.seen(result.row, result.column, tap.u, tap.v);
            bool inside = tap.is_inside(conv) && number < results && from >= 0;
            const real *numbers = x + result.image + from + tap.c;
            if (FOUR) load.fours[i % 4] = inside ? four_at(numbers) : Four{};
            else load.at(i) = inside ? *numbers : (real)0;
            result.move_on(conv, step);
            number += step;
        }
    }

    __device__ void put(TileStep &step, TileLoad &load) const { put_lines<FOUR>(step, load); }
};

// A tile of results.
template <bool FOUR>
static __device__ __forceinline__ void convolve(const real *x, const real *filters, real *y, unsigned results,
                                                const Conv &conv) {
    unsigned row = TILE * blockIdx.x, column = TILE * blockIdx.y;
    Patches<FOUR> patches(x, conv, row, results);
    TileRows<FOUR> weights(filters, 0, conv.patch(), conv.filters, column);
    real sums[8][8] = {};
    tile_product(patches, weights, conv.patch(), sums);
    put_tile<FOUR>(sums, y, row, column, results, conv.filters);
}

// A tile of a gradient of the filters, by as many results as a block takes.
template <bool FOUR>
static __device__ __forceinline__ void correlate(const real *x, const real *dy, real *parts, unsigned results,
                                                 unsigned taken, const Conv &conv) {
    unsigned row = TILE * blockIdx.x, column = TILE * blockIdx.y;
    unsigned first = taken * blockIdx.z, last = min(first + taken, results);
    TransposedPatches<FOUR> patches(x, conv, row, first, last);
    TileRows<FOUR> gradients(dy, first, last, conv.filters, column);
    real sums[8][8] = {};
    tile_product(patches, gradients, last - first, sums);
    unsigned rows = conv.patch();
    put_tile<FOUR>(sums, parts + blockIdx.z * rows * conv.filters, row, column, rows, conv.filters);
}

// Convolution of images with filters; tiles of results and filters. Channels and filters are of any number.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    conv_direct(const real *__restrict__ x, const real *__restrict__ filters, real *__restrict__ y,
                unsigned results, int height, int width, int channels, int kernel, int padding, int outputs) {
    convolve<false>(x, filters, y, results, Conv(height, width, channels, kernel, padding, outputs));
}

// The same for multiples of four channels and filters.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    conv_direct_by_four(const real *__restrict__ x, const real *__restrict__ filters, real *__restrict__ y,
                        unsigned results, int height, int width, int channels, int kernel, int padding,
                        int outputs) {
    convolve<true>(x, filters, y, results, Conv(height, width, channels, kernel, padding, outputs));
}

// Gradients of filters by `taken` results each; tiles of places in patches, filters, and parts.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    conv_direct_back(const real *__restrict__ x, const real *__restrict__ dy, real *__restrict__ parts,
                     unsigned results, unsigned taken, int height, int width, int channels, int kernel,
                     int padding, int outputs) {
    correlate<false>(x, dy, parts, results, taken, Conv(height, width, channels, kernel, padding, outputs));
}

// The same for multiples of four channels and filters.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
    conv_direct_back_by_four(const real *__restrict__ x, const real *__restrict__ dy, real *__restrict__ parts,
                             unsigned results, unsigned taken, int height, int width, int channels, int kernel,
                             int padding, int outputs) {
    correlate<true>(x, dy, parts, results, taken, Conv(height, width, channels, kernel, padding, outputs));
}
