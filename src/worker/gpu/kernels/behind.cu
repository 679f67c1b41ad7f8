// What stands behind a convolution, fused: biases, activation, maxima of 3 x 3 windows at every second pixel,
// and local response normalisation across channels, forward and backward. Images and results are
// (batch, height, width, channels). Windows of an even size begin at an even row, of an odd size one before
// it.

// The place of a maximum that lets no gradient pass.
#define NOWHERE 255

// The images that a kernel pools, and a pixel among them or among their maxima.
struct ConvPooled {
    unsigned height, width, channels;

    __device__ unsigned out_height() const { return (height + 1) / 2; }
    __device__ unsigned out_width() const { return (width + 1) / 2; }

    // The largest number of the window of maximum (i, j), and its place: the first of equal ones.
    // Image begins at the channel that is asked for; distance is between pixels.
    __device__ real maximum(const real *image, unsigned i, unsigned j, unsigned &found) const {
        real best = 0;
        found = NOWHERE;
#pragma unroll
        for (unsigned place = 0; place < 9; place++) {
            unsigned row = 2 * i + place / 3 - height % 2, column = 2 * j + place % 3 - width % 2;
            if (row >= height || column >= width) continue;
            real seen = image[(row * width + column) * channels];
            if (found == NOWHERE || seen > best) best = seen, found = place;
        }
        return best;
    }

    // The gradient by number i of the images, from those of all maxima that were found there.
    __device__ real gathered(const real *dy, const unsigned char *places, unsigned i) const {
        unsigned channel = i % channels, pixel = i / channels;
        unsigned column = pixel % width + width % 2, row = pixel / width % height + height % 2;
        unsigned image = pixel / width / height;
        real sum = 0;
#pragma unroll
        for (unsigned k = 0; k < 4; k++) {
            unsigned u = row % 2 + k / 2 * 2, v = column % 2 + k % 2 * 2;
            unsigned top = row / 2 - k / 2, left = column / 2 - k % 2;
            if (u > 2 || v > 2 || top >= out_height() || left >= out_width()) continue;
            unsigned from = ((image * out_height() + top) * out_width() + left) * channels + channel;
            if (places[from] == u * 3 + v) sum += dy[from];
        }
        return sum;
    }
};

// As long as a launch asks for.
extern __shared__ real behind_room[];

// Normalisation across the channels of a pixel: y = x s^-3/4 with s = bias + alpha times the squares of the
// channels at most radius away.
struct ConvNormal {
    unsigned channels, radius;
    real bias, alpha;

    __device__ unsigned first(unsigned c) const { return c > radius ? c - radius : 0; }
    __device__ unsigned last(unsigned c) const { return channels - c > radius ? c + radius : channels - 1; }

    // s^-3/4 of channel c, and 1 / s.
    __device__ real power(const real *pixel, unsigned c, real &inverse) const {
        real squares = 0;
        for (unsigned d = first(c); d <= last(c); d++) squares += pixel[d] * pixel[d];
        real root = rsqrt(bias + alpha * squares);
        inverse = root * root;
        return inverse * rsqrt(root);
    }

    __device__ real sum(const real *pixel, unsigned c) const {
        real all = 0;
        for (unsigned d = first(c); d <= last(c); d++) all += pixel[d];
        return all;
    }
};

// Finds maximum number `at`, adds its bias and applies the activation, which never falls: the same comes out
// as where that is done before the maximum is taken.
static __device__ real activated_maximum(const ConvPooled &pooled, const real *whole, const real *b, unsigned at,
                                         bool rectified, unsigned char *places) {
    unsigned c = at % pooled.channels, pixel = at / pooled.channels, place;
    unsigned j = pixel % pooled.out_width(), row = pixel / pooled.out_width();
    unsigned image = row / pooled.out_height() * pooled.height * pooled.width * pooled.channels;
    real best = pooled.maximum(whole + image + c, row % pooled.out_height(), j, place);
    best = activated(best + b[c], rectified);
    places[at] = rectified && !(best > 0) ? NOWHERE : place;
    return best;
}

// Maxima of what the convolution gives. One thread for each of count.
extern "C" __global__ void conv_maxima(const real *__restrict__ whole, const real *__restrict__ b,
                                       real *__restrict__ y, unsigned char *__restrict__ places, unsigned count,
                                       unsigned height, unsigned width, unsigned channels, unsigned rectified) {
    unsigned at = thread_of_grid();
    ConvPooled pooled = {height, width, channels};
    if (at < count) y[at] = activated_maximum(pooled, whole, b, at, rectified, places);
}

// The same, then normalised. Row y of a block has one pixel of the maxima; they stay in maxima. Dynamic shared
// memory: the pixels of a block.
extern "C" __global__ void conv_normalised_maxima(const real *__restrict__ whole, const real *__restrict__ b,
                                                  real *__restrict__ y, real *__restrict__ maxima,
                                                  unsigned char *__restrict__ places, unsigned pixels,
                                                  unsigned height, unsigned width, unsigned channels,
                                                  unsigned rectified, unsigned radius, real bias, real alpha) {
    ConvPooled pooled = {height, width, channels};
    ConvNormal normal = {channels, radius, bias, alpha};
    unsigned pixel = blockIdx.x * blockDim.y + threadIdx.y;
    real *row = behind_room + threadIdx.y * channels;
    for (unsigned c = threadIdx.x; pixel < pixels && c < channels; c += blockDim.x) {
        unsigned at = pixel * channels + c;
        maxima[at] = row[c] = activated_maximum(pooled, whole, b, at, rectified, places);
    }
    __syncthreads();
    for (unsigned c = threadIdx.x; pixel < pixels && c < channels; c += blockDim.x) {
        real inverse, power = normal.power(row, c, inverse);
        y[pixel * channels + c] = row[c] * power;
    }
}

// Maxima of what was normalised behind the activation. A block has `run` maxima of one row of them, and
// dynamic shared memory for the 3 x (2 run + 1) pixels that they are of, before and after normalisation.
extern "C" __global__ void conv_maxima_of_normalised(const real *__restrict__ whole, const real *__restrict__ b,
                                                     real *__restrict__ y, unsigned char *__restrict__ places,
                                                     unsigned run, unsigned height, unsigned width,
                                                     unsigned channels, unsigned rectified, unsigned radius,
                                                     real bias, real alpha) {
    ConvPooled pooled = {height, width, channels};
    ConvNormal normal = {channels, radius, bias, alpha};
    unsigned out_width = pooled.out_width(), runs = (out_width + run - 1) / run;
    unsigned row = blockIdx.x / runs, first = blockIdx.x % runs * run;
    unsigned image = row / pooled.out_height(), i = row % pooled.out_height();
    // Rows and columns before the image wrap to far behind it.
    unsigned top = 2 * i - height % 2, left = 2 * first - width % 2, columns = 2 * run + 1;
    unsigned numbers = 3 * columns * channels;
    real *after = behind_room + numbers;
    for (unsigned k = threadIdx.x; k < numbers; k += blockDim.x) {
        unsigned c = k % channels, column = left + k / channels % columns, line = top + k / channels / columns;
        bool inside = line < height && column < width;
        unsigned from = ((image * height + line) * width + column) * channels + c;
        behind_room[k] = inside ? activated(whole[from] + b[c], rectified) : (real)0;
    }
    __syncthreads();
    for (unsigned k = threadIdx.x; k < numbers; k += blockDim.x) {
        unsigned c = k % channels;
        real inverse, power = normal.power(behind_room + (k - c), c, inverse);
        after[k] = behind_room[k] * power;
    }
    __syncthreads();
    unsigned taken = min(run, out_width - first);
    for (unsigned k = threadIdx.x; k < taken * channels; k += blockDim.x) {
        unsigned c = k % channels, j = k / channels, found = NOWHERE;
        real best = 0;
        for (unsigned place = 0; place < 9; place++) {
            unsigned u = place / 3, v = 2 * j + place % 3;
            if (top + u >= height || left + v >= width) continue;
            real seen = after[(u * columns + v) * channels + c];
            if (found == NOWHERE || seen > best) best = seen, found = place;
        }
        unsigned at = (row * out_width + first) * channels + k;
        y[at] = best;
        places[at] = found;
    }
}
