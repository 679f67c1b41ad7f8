// The way back through what stands behind a convolution: see behind.cu, whose types these kernels use. Kernels
// that sum over pixels put one row of sums for each block; conv_gradients adds those up.

// Adds up what the rows of a block of 256 threads have summed for its channels, into its row of sums.
template <int N> static __device__ void put_sums(const Few<N> &sum, unsigned c, unsigned channels, real *sums) {
    __shared__ Few<N> parts[256];
    unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
    parts[thread] = sum;
    for (unsigned half = blockDim.y / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.y >= half) continue;
        const Few<N> &other = parts[thread + half * blockDim.x];
#pragma unroll
        for (int k = 0; k < N; k++) parts[thread].at[k] += other.at[k];
    }
    if (threadIdx.y == 0 && c < channels) few_at<N>(sums + blockIdx.x * channels + c) = parts[thread];
}

// Lets `gradient` give what N channels of each pixel have, puts that in its place where there is one, and sums
// it up where that is wanted. A block has N * blockDim.x channels and every so many pixels.
template <int N, class Gradient>
static __device__ void sum_pixels(const Gradient &gradient, real *before, real *sums, unsigned pixels,
                                  unsigned channels) {
    unsigned c = N * (blockIdx.y * blockDim.x + threadIdx.x), step = gridDim.x * blockDim.y;
    Few<N> sum = {};
    for (unsigned pixel = blockIdx.x * blockDim.y + threadIdx.y; c < channels && pixel < pixels; pixel += step) {
        Few<N> passed = gradient.template of<N>(pixel, c);
        if (before) few_at<N>(before + pixel * channels + c) = passed;
#pragma unroll
        for (int k = 0; k < N; k++) sum.at[k] += passed.at[k];
    }
    if (sums) put_sums<N>(sum, c, channels, sums);
}

// What the rectifier, if there is one, lets pass.
struct Rectified {
    const real *y, *dy;
    unsigned channels;

    template <int N> __device__ Few<N> of(unsigned pixel, unsigned c) const {
        unsigned at = pixel * channels + c;
        Few<N> passed = few_at<N>(dy + at);
        if (!y) return passed;
        Few<N> results = few_at<N>(y + at);
#pragma unroll
        for (int k = 0; k < N; k++) passed.at[k] = results.at[k] > 0 ? passed.at[k] : (real)0;
        return passed;
    }
};

// The gradient before the activation and its sums, with nothing behind the activation.
extern "C" __global__ void conv_rectified_back(const real *__restrict__ y, const real *__restrict__ dy,
                                               real *__restrict__ before, real *__restrict__ sums, unsigned pixels,
                                               unsigned channels, unsigned fours) {
    Rectified gradient = {y, dy, channels};
    if (fours) sum_pixels<4>(gradient, before, sums, pixels, channels);
    else sum_pixels<1>(gradient, before, sums, pixels, channels);
}

// What comes from maxima.
struct Gathered {
    ConvPooled pooled;
    const real *dy;
    const unsigned char *places;

    template <int N> __device__ Few<N> of(unsigned pixel, unsigned c) const {
        return pooled.gathered<N>(dy, places, pixel, c);
    }
};

// The gradient before the activation and its sums, with maxima behind.
extern "C" __global__ void conv_maxima_back(const real *__restrict__ dy, const unsigned char *__restrict__ places,
                                            real *__restrict__ before, real *__restrict__ sums, unsigned pixels,
                                            unsigned height, unsigned width, unsigned channels, unsigned fours) {
    Gathered gradient = {{height, width, channels}, dy, places};
    if (fours) sum_pixels<4>(gradient, before, sums, pixels, channels);
    else sum_pixels<1>(gradient, before, sums, pixels, channels);
}

// A gradient goes back through a normalisation of pixels, one for each row of a block at a time:
// dx[c] = dy[c] s[c]^-3/4 - 1.5 alpha x[c] times the sum of dy x s^-7/4 over the channels around c. The way says
// what x and dy are, and what of dx counts. Dynamic shared memory: three pixels for each row of a block.
template <int N, class Way>
static __device__ void normal_back(const Way &way, const ConvNormal &normal, real *dx, real *sums, unsigned pixels) {
    unsigned channels = normal.channels, next = N * blockDim.x;
    real *x = room_of_block() + threadIdx.y * 3 * channels, *terms = x + channels, *added = terms + channels;
    for (unsigned c = threadIdx.x; c < channels; c += blockDim.x) added[c] = 0;
    for (unsigned first = blockIdx.x * blockDim.y; first < pixels; first += gridDim.x * blockDim.y) {
        unsigned pixel = first + threadIdx.y, begin = pixel < pixels ? N * threadIdx.x : channels;
        for (unsigned c = begin; c < channels; c += next) few_at<N>(x + c) = way.template x<N>(pixel, c);
        __syncthreads();
        for (unsigned c = begin; c < channels; c += next) {
            Few<N> inverses, scaled = normal.powers<N>(x, c, inverses), dy = way.template dy<N>(pixel, c), products;
#pragma unroll
            for (int k = 0; k < N; k++) {
                scaled.at[k] *= dy.at[k];
                products.at[k] = scaled.at[k] * x[c + k] * inverses.at[k];
            }
            few_at<N>(dx + pixel * channels + c) = scaled;
            few_at<N>(terms + c) = products;
        }
        __syncthreads();
        for (unsigned c = begin; c < channels; c += next) {
            Few<N> around = normal.sums<N, false>(terms, c), scaled = few_at<N>(dx + pixel * channels + c);
#pragma unroll
            for (int k = 0; k < N; k++) {
                scaled.at[k] -= (real)1.5 * normal.alpha * x[c + k] * around.at[k];
                if (!way.passes(pixel, c + k, x[c + k])) scaled.at[k] = 0;
                added[c + k] += scaled.at[k];
            }
            few_at<N>(dx + pixel * channels + c) = scaled;
        }
    }
    __syncthreads();
    for (unsigned c = threadIdx.x; threadIdx.y == 0 && c < channels; c += blockDim.x) {
        real sum = 0;
        for (unsigned row = 0; row < blockDim.y; row++) sum += added[row * 3 * channels + c];
        sums[blockIdx.x * channels + c] = sum;
    }
}

// What was normalised are maxima of the activation's results.
struct BackToMaxima {
    const real *maxima, *gradient;
    const unsigned char *places;
    unsigned channels;

    template <int N> __device__ Few<N> x(unsigned pixel, unsigned c) const {
        return few_at<N>(maxima + pixel * channels + c);
    }
    template <int N> __device__ Few<N> dy(unsigned pixel, unsigned c) const {
        return few_at<N>(gradient + pixel * channels + c);
    }
    __device__ bool passes(unsigned pixel, unsigned c, real) const { return places[pixel * channels + c] != NOWHERE; }
};

extern "C" __global__ void conv_normalised_maxima_back(const real *__restrict__ maxima, const real *__restrict__ dy,
                                                       const unsigned char *__restrict__ places,
                                                       real *__restrict__ dx, real *__restrict__ sums,
                                                       unsigned pixels, unsigned channels, int radius, real bias,
                                                       real alpha, unsigned fours) {
    BackToMaxima way = {maxima, dy, places, channels};
    ConvNormal normal = {int(channels), radius, bias, alpha};
    if (fours) normal_back<4>(way, normal, dx, sums, pixels);
    else normal_back<1>(way, normal, dx, sums, pixels);
}

// What was normalised are the activation's results, and maxima of that were taken.
struct BackThroughMaxima {
    const real *whole, *b, *gradient;
    const unsigned char *places;
    ConvPooled pooled;
    bool rectified;

    template <int N> __device__ Few<N> x(unsigned pixel, unsigned c) const {
        return activated_sum<N>(few_at<N>(whole + pixel * pooled.channels + c), few_at<N>(b + c), rectified);
    }
    template <int N> __device__ Few<N> dy(unsigned pixel, unsigned c) const {
        return pooled.gathered<N>(gradient, places, pixel, c);
    }
    __device__ bool passes(unsigned, unsigned, real x) const { return !rectified || x > 0; }
};

// The bound: six blocks of a multiprocessor, as `BLOCKS` in `on_gpu/behind.rs` counts on.
extern "C" __global__ void __launch_bounds__(256, 6) conv_maxima_of_normalised_back(
    const real *__restrict__ whole, const real *__restrict__ b, const real *__restrict__ dy,
    const unsigned char *__restrict__ places, real *__restrict__ dx, real *__restrict__ sums, unsigned pixels,
    unsigned height, unsigned width, unsigned channels, unsigned rectified, int radius, real bias, real alpha,
    unsigned fours) {
    BackThroughMaxima way = {whole, b, dy, places, {height, width, channels}, rectified != 0};
    ConvNormal normal = {int(channels), radius, bias, alpha};
    if (fours) normal_back<4>(way, normal, dx, sums, pixels);
    else normal_back<1>(way, normal, dx, sums, pixels);
}
