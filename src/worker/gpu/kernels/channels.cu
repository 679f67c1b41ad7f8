// Channels and pixels of images that go elsewhere: a thread for each number that is written, so that
// neighbouring threads write neighbouring numbers.

// y[pixel][c] = x[pixel][first + c]; `count` numbers of y.
extern "C" __global__ void select_forward(
    const real *__restrict__ x, real *__restrict__ y, unsigned channels, unsigned first, unsigned selected,
    unsigned count
) {
    unsigned i = thread_of_grid();
    if (i < count) y[i] = x[i / selected * channels + first + i % selected];
}

// `count` numbers of dx, zeros where nothing was selected.
extern "C" __global__ void select_backward(
    const real *__restrict__ dy, real *__restrict__ dx, unsigned channels, unsigned first, unsigned selected,
    unsigned count
) {
    unsigned i = thread_of_grid();
    if (i >= count) return;
    // Channels before the first wrap to far behind the last.
    unsigned channel = i % channels - first;
    dx[i] = channel < selected ? dy[i / channels * selected + channel] : real(0);
}

// `count` numbers of y, whose pixels have the channels of a, and behind them those of b.
extern "C" __global__ void concatenate_forward(
    const real *__restrict__ a, const real *__restrict__ b, real *__restrict__ y, unsigned of_a, unsigned of_b,
    unsigned count
) {
    unsigned i = thread_of_grid();
    if (i >= count) return;
    unsigned pixel = i / (of_a + of_b), channel = i % (of_a + of_b);
    y[i] = channel < of_a ? a[pixel * of_a + channel] : b[pixel * of_b + channel - of_a];
}

// `count` numbers of dy; either gradient may be missing.
extern "C" __global__ void concatenate_backward(
    const real *__restrict__ dy, real *da, real *db, unsigned of_a, unsigned of_b, unsigned count
) {
    unsigned i = thread_of_grid();
    if (i >= count) return;
    unsigned pixel = i / (of_a + of_b), channel = i % (of_a + of_b);
    if (channel < of_a) {
        if (da) da[pixel * of_a + channel] = dy[i];
    } else if (db) {
        db[pixel * of_b + channel - of_a] = dy[i];
    }
}

// `count` numbers of y, whose images have rows of 2 * width pixels; x has half as many of both.
extern "C" __global__ void upsample_forward(
    const real *__restrict__ x, real *__restrict__ y, unsigned width, unsigned channels, unsigned count
) {
    unsigned i = thread_of_grid();
    if (i >= count) return;
    unsigned channel = i % channels, pixel = i / channels;
    unsigned column = pixel % (2 * width) / 2, row = pixel / (2 * width) / 2;
    y[i] = x[(row * width + column) * channels + channel];
}

// `count` numbers of dx.
extern "C" __global__ void upsample_backward(
    const real *__restrict__ dy, real *__restrict__ dx, unsigned width, unsigned channels, unsigned count
) {
    unsigned i = thread_of_grid();
    if (i >= count) return;
    unsigned channel = i % channels, pixel = i / channels;
    unsigned column = pixel % width, row = pixel / width;
    const real *upper = dy + (4 * row * width + 2 * column) * channels + channel;
    const real *lower = upper + 2 * width * channels;
    dx[i] = upper[0] + upper[channels] + (lower[0] + lower[channels]);
}
