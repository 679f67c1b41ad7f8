// What stands behind a convolution, fused: biases, activation, maxima of 3 x 3 windows at every second pixel,
// and local response normalisation across channels. Images and results are (batch, height, width, channels).
// Windows of an even size begin at an even row, of an odd size one before it. A thread has N neighbouring
// channels: four where their number is a multiple of four, else one.

// The place of a maximum that lets no gradient pass.
#define NOWHERE 255

// Places of neighbouring maxima.
template <int N> struct alignas(N) Places {
    unsigned char at[N];
};

template <int N> static __device__ __forceinline__ Places<N> &places_at(unsigned char *places) {
    return *reinterpret_cast<Places<N> *>(places);
}

template <int N> static __device__ __forceinline__ const Places<N> &places_at(const unsigned char *places) {
    return *reinterpret_cast<const Places<N> *>(places);
}

// Maxima while a window is searched: the first of equal numbers is kept. Whether a place counts is no branch, so
// that all places of a window are on their way before the first is looked at.
template <int N> struct Search {
    Few<N> best = {};
    Places<N> found = {};
    bool has_begun = false;

    __device__ void see(Few<N> seen, unsigned place, bool counts) {
#pragma unroll
        for (int k = 0; k < N; k++) {
            bool better = counts && (!has_begun || seen.at[k] > best.at[k]);
            best.at[k] = better ? seen.at[k] : best.at[k];
            found.at[k] = better ? place : found.at[k];
        }
        has_begun |= counts;
    }
};

// Images whose maxima are taken.
struct ConvPooled {
    unsigned height, width, channels;

    __device__ unsigned out_height() const { return (height + 1) / 2; }
    __device__ unsigned out_width() const { return (width + 1) / 2; }

    // The maxima for one pixel of them, counted over all images, from channel c on.
    template <int N> __device__ Search<N> maxima(const real *images, unsigned pixel, unsigned c) const {
        unsigned left = pixel % out_width() * 2 - width % 2, top = pixel / out_width() % out_height() * 2 - height % 2;
        const real *image = images + pixel / out_width() / out_height() * height * width * channels + c;
        Search<N> search;
#pragma unroll
        for (unsigned place = 0; place < 9; place++) {
            // Rows and columns before the image wrap to far behind it.
            unsigned row = top + place / 3, column = left + place % 3;
            bool inside = row < height && column < width;
            search.see(few_at<N>(image + (inside ? (row * width + column) * channels : 0)), place, inside);
        }
        return search;
    }

    // The gradients by a pixel of the images from channel c on: of all maxima that were found there.
    template <int N>
    __device__ Few<N> gathered(const real *dy, const unsigned char *places, unsigned pixel, unsigned c) const {
        unsigned column = pixel % width + width % 2, row = pixel / width % height + height % 2;
        unsigned results = pixel / width / height * out_height() * out_width();
        Few<N> sum = {};
#pragma unroll
        for (unsigned k = 0; k < 4; k++) {
            // An even row is the last one of the window above as well, an even column that of the one to the
            // left; windows before the first wrap to far behind the last.
            unsigned u = row % 2 + k / 2 * 2, v = column % 2 + k % 2 * 2;
            unsigned i = row / 2 - k / 2, j = column / 2 - k % 2;
            if (u > 2 || v > 2 || i >= out_height() || j >= out_width()) continue;
            unsigned from = (results + i * out_width() + j) * channels + c;
            Places<N> found = places_at<N>(places + from);
            Few<N> gradient = few_at<N>(dy + from);
#pragma unroll
            for (int n = 0; n < N; n++) sum.at[n] += found.at[n] == u * 3 + v ? gradient.at[n] : (real)0;
        }
        return sum;
    }
};

template <int N>
static __device__ __forceinline__ Few<N> activated_sum(Few<N> numbers, Few<N> biases, bool rectified) {
    Few<N> sum;
#pragma unroll
    for (int k = 0; k < N; k++) sum.at[k] = activated(numbers.at[k] + biases.at[k], rectified);
    return sum;
}

// Normalisation across the channels of a pixel: y = x s^-3/4 with s = bias + alpha times the squares of the
// channels at most radius away.
struct ConvNormal {
    int channels, radius;
    real bias, alpha;

    // Of N channels from c on, the sums of the numbers around each, squared or not.
    template <int N, bool SQUARED> __device__ Few<N> sums(const real *pixel, int c) const {
        Few<N> sums = {};
        if (N == 4 && radius == N) {
            // The usual radius: what is around four channels are they and the four on either side.
            real near[3 * N];
#pragma unroll
            for (int side = 0; side < 3; side++) {
                int from = c + (side - 1) * N;
                Few<N> numbers = from >= 0 && from < channels ? few_at<N>(pixel + from) : Few<N>{};
#pragma unroll
                for (int n = 0; n < N; n++) near[side * N + n] = SQUARED ? numbers.at[n] * numbers.at[n] : numbers.at[n];
            }
#pragma unroll
            for (int k = 0; k < N; k++) {
#pragma unroll
                for (int away = 0; away <= 2 * N; away++) sums.at[k] += near[k + away];
            }
            return sums;
        }
        int first = c > radius ? c - radius : 0, last = min(c + N - 1 + radius, channels - 1);
        for (int from = first / N * N; from <= last; from += N) {
            Few<N> numbers = few_at<N>(pixel + from);
#pragma unroll
            for (int n = 0; n < N; n++) {
                real number = SQUARED ? numbers.at[n] * numbers.at[n] : numbers.at[n];
#pragma unroll
                for (int k = 0; k < N; k++) {
                    int away = from + n - c - k;
                    sums.at[k] += away <= radius && -away <= radius ? number : (real)0;
                }
            }
        }
        return sums;
    }

    // s^-3/4 of N channels from c on, and 1 / s.
    template <int N> __device__ Few<N> powers(const real *pixel, int c, Few<N> &inverses) const {
        Few<N> powers = sums<N, true>(pixel, c);
#pragma unroll
        for (int k = 0; k < N; k++) {
            real root = rsqrt(bias + alpha * powers.at[k]);
            inverses.at[k] = root * root;
            powers.at[k] = inverses.at[k] * rsqrt(root);
        }
        return powers;
    }

    template <int N> __device__ Few<N> normalised(const real *pixel, int c) const {
        Few<N> inverses, y = powers<N>(pixel, c, inverses), x = few_at<N>(pixel + c);
#pragma unroll
        for (int k = 0; k < N; k++) y.at[k] *= x.at[k];
        return y;
    }
};

// Finds maxima, adds their biases and applies the activation, which never falls: the same comes out as where
// that is done before the maxima are taken.
template <int N>
static __device__ Few<N> activated_maxima(const ConvPooled &pooled, const real *whole, const real *b,
                                          unsigned char *places, unsigned pixel, unsigned c, bool rectified) {
    Search<N> search = pooled.maxima<N>(whole, pixel, c);
    Few<N> y = activated_sum<N>(search.best, few_at<N>(b + c), rectified);
#pragma unroll
    for (int k = 0; k < N; k++) {
        if (rectified && !(y.at[k] > 0)) search.found.at[k] = NOWHERE;
    }
    places_at<N>(places + pixel * pooled.channels + c) = search.found;
    return y;
}

template <int N>
static __device__ void put_maxima(const ConvPooled &pooled, const real *whole, const real *b, real *y,
                                  unsigned char *places, unsigned count, bool rectified) {
    unsigned at = N * thread_of_grid();
    if (at >= count) return;
    unsigned pixel = at / pooled.channels, c = at % pooled.channels;
    few_at<N>(y + at) = activated_maxima<N>(pooled, whole, b, places, pixel, c, rectified);
}

// Maxima of what the convolution gives.
extern "C" __global__ void conv_maxima(const real *__restrict__ whole, const real *__restrict__ b,
                                       real *__restrict__ y, unsigned char *__restrict__ places, unsigned count,
                                       unsigned height, unsigned width, unsigned channels, unsigned rectified,
                                       unsigned fours) {
    ConvPooled pooled = {height, width, channels};
    if (fours) put_maxima<4>(pooled, whole, b, y, places, count, rectified);
    else put_maxima<1>(pooled, whole, b, y, places, count, rectified);
}

// As long as a launch asks for; the first number of each pixel begins at a multiple of 16 bytes where threads
// have four channels.
extern __shared__ Four behind_room[];

static __device__ __forceinline__ real *room_of_block() {
    Four *room = behind_room;
    return room->at;
}

template <int N>
static __device__ void put_normalised_maxima(const ConvPooled &pooled, const ConvNormal &normal, const real *whole,
                                             const real *b, real *y, real *maxima, unsigned char *places,
                                             unsigned pixels, bool rectified) {
    unsigned channels = pooled.channels, pixel = blockIdx.x * blockDim.y + threadIdx.y;
    unsigned begin = pixel < pixels ? N * threadIdx.x : channels;
    real *row = room_of_block() + threadIdx.y * channels;
    for (unsigned c = begin; c < channels; c += N * blockDim.x) {
        Few<N> found = activated_maxima<N>(pooled, whole, b, places, pixel, c, rectified);
        few_at<N>(maxima + pixel * channels + c) = few_at<N>(row + c) = found;
    }
    __syncthreads();
    for (unsigned c = begin; c < channels; c += N * blockDim.x) {
        few_at<N>(y + pixel * channels + c) = normal.normalised<N>(row, c);
    }
}

// The same, then normalised. Row y of a block has one pixel of the maxima; they stay in maxima. Dynamic shared
// memory: the pixels of a block.
extern "C" __global__ void __launch_bounds__(256, 5)
    conv_normalised_maxima(const real *__restrict__ whole, const real *__restrict__ b,
                                                  real *__restrict__ y, real *__restrict__ maxima,
                                                  unsigned char *__restrict__ places, unsigned pixels,
                                                  unsigned height, unsigned width, unsigned channels,
                                                  unsigned rectified, int radius, real bias, real alpha,
                                                  unsigned fours) {
    ConvPooled pooled = {height, width, channels};
    ConvNormal normal = {int(channels), radius, bias, alpha};
    if (fours) put_normalised_maxima<4>(pooled, normal, whole, b, y, maxima, places, pixels, rectified);
    else put_normalised_maxima<1>(pooled, normal, whole, b, y, maxima, places, pixels, rectified);
}

template <int N>
static __device__ void put_maxima_of_normalised(const ConvPooled &pooled, const ConvNormal &normal, const real *whole,
                                                const real *b, real *y, unsigned char *places, unsigned run,
                                                bool rectified) {
    unsigned channels = pooled.channels, out_width = pooled.out_width(), runs = (out_width + run - 1) / run;
    unsigned row = blockIdx.x / runs, first = blockIdx.x % runs * run, columns = 2 * run + 1;
    unsigned top = row % pooled.out_height() * 2 - pooled.height % 2, left = 2 * first - pooled.width % 2;
    unsigned image = row / pooled.out_height() * pooled.height, numbers = 3 * columns * channels;
    real *before = room_of_block(), *after = before + numbers;
    for (unsigned k = N * threadIdx.x; k < numbers; k += N * blockDim.x) {
        unsigned c = k % channels, pixel = k / channels;
        unsigned line = top + pixel / columns, column = left + pixel % columns;
        const real *from = whole + ((image + line) * pooled.width + column) * channels + c;
        bool inside = line < pooled.height && column < pooled.width;
        few_at<N>(before + k) = inside ? activated_sum<N>(few_at<N>(from), few_at<N>(b + c), rectified) : Few<N>{};
    }
    __syncthreads();
    for (unsigned k = N * threadIdx.x; k < numbers; k += N * blockDim.x) {
        unsigned c = k % channels;
        few_at<N>(after + k) = normal.normalised<N>(before + k - c, c);
    }
    __syncthreads();
    unsigned taken = min(run, out_width - first) * channels;
    for (unsigned k = N * threadIdx.x; k < taken; k += N * blockDim.x) {
        unsigned c = k % channels, j = k / channels;
        Search<N> search;
        for (unsigned place = 0; place < 9; place++) {
            unsigned u = place / 3, v = 2 * j + place % 3;
            bool inside = top + u < pooled.height && left + v < pooled.width;
            search.see(few_at<N>(after + (u * columns + v) * channels + c), place, inside);
        }
        unsigned at = (row * out_width + first) * channels + k;
        few_at<N>(y + at) = search.best;
        places_at<N>(places + at) = search.found;
    }
}

// Maxima of what was normalised behind the activation. A block has `run` maxima of one row of them, and
// dynamic shared memory for the 3 x (2 run + 1) pixels that they are of, before and after normalisation.
extern "C" __global__ void conv_maxima_of_normalised(const real *__restrict__ whole, const real *__restrict__ b,
                                                     real *__restrict__ y, unsigned char *__restrict__ places,
                                                     unsigned run, unsigned height, unsigned width,
                                                     unsigned channels, unsigned rectified, int radius, real bias,
                                                     real alpha, unsigned fours) {
    ConvPooled pooled = {height, width, channels};
    ConvNormal normal = {int(channels), radius, bias, alpha};
    if (fours) put_maxima_of_normalised<4>(pooled, normal, whole, b, y, places, run, rectified);
    else put_maxima_of_normalised<1>(pooled, normal, whole, b, y, places, run, rectified);
}
