// Filters and patches of convolutions of stride 1 in other orders, and the last step of their gradients.
// Images are (batch, height, width, channels), filters (k, k, channels, filters). A patch is what one result
// sees, [row of the kernel][column][channel].

// Sizes of a convolution, and numbers of its result.
struct Conv {
    int height, width, channels, kernel, padding, filters, out_height, out_width;

    __device__ Conv(int height, int width, int channels, int kernel, int padding, int filters)
        : height(height), width(width), channels(channels), kernel(kernel), padding(padding), filters(filters),
          out_height(height + 2 * padding + 1 - kernel), out_width(width + 2 * padding + 1 - kernel) {}

    __device__ int patch() const { return kernel * kernel * channels; }
    __device__ int image() const { return height * width * channels; }

    // Where in an image the pixel lies that a result at (row, column) sees at (u, v) of the kernel. Negative
    // where that is outside.
    __device__ int seen(int row, int column, int u, int v) const {
        row += u - padding;
        column += v - padding;
        bool inside = unsigned(row) < unsigned(height) && unsigned(column) < unsigned(width);
        return inside ? (row * width + column) * channels : -1;
    }
};

// The patches of the results of some images, one after the other. A thread for each of count numbers.
extern "C" __global__ void conv_patches(const real *__restrict__ x, real *__restrict__ patches, unsigned count,
                                        int height, int width, int channels, int kernel, int padding) {
    unsigned at = thread_of_grid();
    if (at >= count) return;
    Conv conv(height, width, channels, kernel, padding, 0);
    int number = at % conv.patch(), pixel = at / conv.patch();
    int tap = number / channels, column = pixel % conv.out_width, row = pixel / conv.out_width;
    int from = conv.seen(row % conv.out_height, column, tap / kernel, tap % kernel);
    const real *image = x + row / conv.out_height * conv.image() + number % channels;
    patches[at] = from < 0 ? (real)0 : image[from];
}

// The same, four numbers a thread; channels is a multiple of four.
extern "C" __global__ void conv_patches_by_four(const real *__restrict__ x, real *__restrict__ patches,
                                                unsigned count, int height, int width, int channels, int kernel,
                                                int padding) {
    unsigned at = 4 * thread_of_grid();
    if (at >= count) return;
    Conv conv(height, width, channels, kernel, padding, 0);
    int number = at % conv.patch(), pixel = at / conv.patch();
    int tap = number / channels, column = pixel % conv.out_width, row = pixel / conv.out_width;
    int from = conv.seen(row % conv.out_height, column, tap / kernel, tap % kernel);
    const real *image = x + row / conv.out_height * conv.image() + number % channels;
    four_at(patches + at) = from < 0 ? Four{} : four_at(image + from);
}

// Filters [u][v][c][o] as [k - 1 - u][k - 1 - v][o][c]. A thread for each of count numbers.
extern "C" __global__ void flip_filters(const real *__restrict__ filters, real *__restrict__ flipped,
                                        unsigned count, unsigned channels, unsigned outputs) {
    unsigned at = thread_of_grid();
    if (at >= count) return;
    unsigned c = at % channels, o = at / channels % outputs, tap = at / channels / outputs;
    unsigned last = count / channels / outputs - 1;
    flipped[at] = filters[((last - tap) * channels + c) * outputs + o];
}

// How filters lie: [tap][channel][filter] as everywhere here, [filter][tap][channel], or
// [filter][channel][tap].
enum Order { OURS, CHANNELS_LAST, CHANNELS_FIRST };

// Where in another order number `at` of ours lies.
static __device__ unsigned place_in(unsigned order, unsigned at, unsigned taps, unsigned channels,
                                    unsigned filters) {
    if (order == OURS) return at;
    unsigned o = at % filters, c = at / filters % channels, tap = at / filters / channels;
    return order == CHANNELS_LAST ? (o * taps + tap) * channels + c : (o * channels + c) * taps + tap;
}

// Filters in another order. A thread for each of their numbers.
extern "C" __global__ void reorder_filters(const real *__restrict__ ours, real *__restrict__ others,
                                           unsigned order, unsigned taps, unsigned channels, unsigned filters) {
    unsigned at = thread_of_grid();
    if (at < taps * channels * filters) others[place_in(order, at, taps, channels, filters)] = ours[at];
}

// Parts that a thread adds up one after the other; more are shared out among 32 threads.
#define FEW_PARTS 32

// The gradients of filters and biases from what was summed up in parts: so many gradients of the filters, in
// any order where it is one, and rows of sums for the biases. Blocks are of 32 x 32 threads; the first, one for
// each 32 filters, are for biases, where they are wanted. The others are for filters, one for each 1024
// numbers; for each 32 where there are many parts.
extern "C" __global__ void __launch_bounds__(1024)
    conv_gradients(const real *__restrict__ sums, unsigned rows, real *__restrict__ db,
                   const real *__restrict__ parts, unsigned count, real *__restrict__ dw, unsigned order,
                   unsigned taps, unsigned channels, unsigned filters) {
    unsigned for_biases = db ? (filters + 31) / 32 : 0, block = blockIdx.x - for_biases;
    unsigned numbers = taps * channels * filters;
    if (blockIdx.x < for_biases) {
        sum_columns(nullptr, sums, nullptr, db, rows, filters, 32 * blockIdx.x);
        return;
    }
    if (count > FEW_PARTS) {
        sum_columns(nullptr, parts, nullptr, dw, count, numbers, 32 * block);
        return;
    }
    unsigned at = block * 1024 + threadIdx.y * 32 + threadIdx.x;
    if (at >= numbers) return;
    unsigned from = place_in(order, at, taps, channels, filters);
    real sum = 0;
#pragma unroll 4
    for (unsigned part = 0; part < count; part++) sum += parts[part * numbers + from];
    dw[at] = sum;
}
