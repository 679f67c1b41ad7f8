// Maxima over 3×3 windows with stride 2 and their gradient. The padding is halved with the odd row or
// column behind: windows begin at an even row of an even height and one before that of an odd one.

// Sizes of images and of their maxima.
struct PoolSizes {
    unsigned height, width, channels, out_height, out_width;
};

static __device__ __forceinline__ PoolSizes pool_sizes(unsigned height, unsigned width, unsigned channels) {
    return {height, width, channels, (height + 1) / 2, (width + 1) / 2};
}

// A thread for each of `count` maxima. `places` is where in its window, row by row, each was found: the
// first of equal numbers.
extern "C" __global__ void max_pool_forward(
    const real *__restrict__ x, real *__restrict__ y, unsigned char *__restrict__ places, unsigned height,
    unsigned width, unsigned channels, unsigned count
) {
    unsigned at = thread_of_grid();
    if (at >= count) return;
    PoolSizes s = pool_sizes(height, width, channels);
    unsigned channel = at % channels, pixel = at / channels;
    unsigned j = pixel % s.out_width, i = pixel / s.out_width % s.out_height;
    const real *image = x + pixel / s.out_width / s.out_height * height * width * channels + channel;
    real best = 0;
    unsigned found = 9;
    for (unsigned place = 0; place < 9; place++) {
        // Rows and columns before the image wrap to far behind it.
        unsigned row = 2 * i + place / 3 - height % 2, column = 2 * j + place % 3 - width % 2;
        if (row >= height || column >= width) continue;
        real seen = image[(row * width + column) * channels];
        if (found == 9 || seen > best) {
            best = seen;
            found = place;
        }
    }
    y[at] = best;
    places[at] = static_cast<unsigned char>(found);
}

// The gradient of the maximum of window (i, j) if it was found at `place`, for numbers of one channel.
static __device__ __forceinline__ real pool_gradient(
    const real *dy, const unsigned char *places, const PoolSizes &s, unsigned i, unsigned j, unsigned place
) {
    if (i >= s.out_height || j >= s.out_width) return 0;
    unsigned at = (i * s.out_width + j) * s.channels;
    return places[at] == place ? dy[at] : real(0);
}

// A thread for each of `count` numbers of dx: the sum over the at most four windows that it lies in.
extern "C" __global__ void max_pool_backward(
    const real *__restrict__ dy, const unsigned char *__restrict__ places, real *__restrict__ dx,
    unsigned height, unsigned width, unsigned channels, unsigned count
) {
    unsigned at = thread_of_grid();
    if (at >= count) return;
    PoolSizes s = pool_sizes(height, width, channels);
    unsigned channel = at % channels, pixel = at / channels;
    unsigned column = pixel % width + width % 2, row = pixel / width % height + height % 2;
    unsigned results = pixel / width / height * s.out_height * s.out_width * channels + channel;
    dy += results;
    places += results;
    unsigned i = row / 2, j = column / 2, u = row % 2, v = column % 2;
    real sum = 0;
    // An even row is the last one of the window above as well, an even column that of the one to the
    // left; windows before the first wrap to far behind the last.
    if (u == 0 && v == 0) sum += pool_gradient(dy, places, s, i - 1, j - 1, 8);
    if (u == 0) sum += pool_gradient(dy, places, s, i - 1, j, 6 + v);
    if (v == 0) sum += pool_gradient(dy, places, s, i, j - 1, 3 * u + 2);
    sum += pool_gradient(dy, places, s, i, j, 3 * u + v);
    dx[at] = sum;
}
