// The way back through what stands behind a convolution: see behind.cu, whose types these kernels use. Kernels
// that sum over pixels put one row of sums for each block; conv_gradients adds those up.

// Adds up what the rows of a block have summed for its channels, into its row of sums.
static __device__ void put_sums(real sum, unsigned c, unsigned channels, real *sums) {
    __shared__ real parts[256];
    unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
    parts[thread] = sum;
    for (unsigned half = blockDim.y / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) parts[thread] += parts[thread + half * blockDim.x];
    }
    if (threadIdx.y == 0 && c < channels) sums[blockIdx.x * channels + c] = parts[thread];
}

// The gradient before the activation and its sums, with nothing behind the activation. A block has
// blockDim.x channels and every so many pixels; y is missing where there is no rectifier, then nothing is
// written but sums.
extern "C" __global__ void conv_rectified_back(const real *__restrict__ y, const real *__restrict__ dy,
                                               real *__restrict__ before, real *__restrict__ sums, unsigned pixels,
                                               unsigned channels) {
    unsigned c = blockIdx.y * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.y;
    real sum = 0;
    for (unsigned p = blockIdx.x * blockDim.y + threadIdx.y; c < channels && p < pixels; p += step) {
        unsigned at = p * channels + c;
        real passed = dy[at];
        if (y) before[at] = passed = y[at] > 0 ? passed : (real)0;
        sum += passed;
    }
    put_sums(sum, c, channels, sums);
}

// The gradient before the activation and its sums, with maxima behind. Sums may be missing.
extern "C" __global__ void conv_maxima_back(const real *__restrict__ dy, const unsigned char *__restrict__ places,
                                            real *__restrict__ before, real *__restrict__ sums, unsigned pixels,
                                            unsigned height, unsigned width, unsigned channels) {
    ConvPooled pooled = {height, width, channels};
    unsigned c = blockIdx.y * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.y;
    real sum = 0;
    for (unsigned p = blockIdx.x * blockDim.y + threadIdx.y; c < channels && p < pixels; p += step) {
        unsigned at = p * channels + c;
        real gathered = pooled.gathered(dy, places, at);
        before[at] = gathered;
        sum += gathered;
    }
    if (sums) put_sums(sum, c, channels, sums);
}

// A gradient goes back through a normalisation of pixels, one for each row of a block at a time:
// dx[c] = dy[c] s[c]^-3/4 - 1.5 alpha x[c] times the sum of dy x s^-7/4 over the channels around c.
// Step says what x and dy are, and what of dx counts in the sums. Dynamic shared memory: three pixels for each
// row of a block.
template <class BackStep>
static __device__ void normal_back(const BackStep &step, const ConvNormal &normal, real *dx, real *sums, unsigned pixels) {
    unsigned channels = normal.channels;
    real *x = behind_room + threadIdx.y * 3 * channels, *terms = x + channels, *added = terms + channels;
    for (unsigned c = threadIdx.x; c < channels; c += blockDim.x) added[c] = 0;
    for (unsigned first = blockIdx.x * blockDim.y; first < pixels; first += gridDim.x * blockDim.y) {
        unsigned pixel = first + threadIdx.y;
        unsigned begin = pixel < pixels ? threadIdx.x : channels;
        for (unsigned c = begin; c < channels; c += blockDim.x) x[c] = step.x(pixel * channels + c, c);
        __syncthreads();
        for (unsigned c = begin; c < channels; c += blockDim.x) {
            unsigned at = pixel * channels + c;
            real inverse, scaled = normal.power(x, c, inverse) * step.dy(at);
            dx[at] = scaled;
            terms[c] = scaled * x[c] * inverse;
        }
        __syncthreads();
        for (unsigned c = begin; c < channels; c += blockDim.x) {
            unsigned at = pixel * channels + c;
            real gradient = dx[at] - (real)1.5 * normal.alpha * x[c] * normal.sum(terms, c);
            dx[at] = gradient = step.passes(at, x[c]) ? gradient : (real)0;
            added[c] += gradient;
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

    __device__ real x(unsigned at, unsigned) const { return maxima[at]; }
    __device__ real dy(unsigned at) const { return gradient[at]; }
    __device__ bool passes(unsigned at, real) const { return places[at] != NOWHERE; }
};

extern "C" __global__ void conv_normalised_maxima_back(const real *__restrict__ maxima, const real *__restrict__ dy,
                                                       const unsigned char *__restrict__ places,
                                                       real *__restrict__ dx, real *__restrict__ sums,
                                                       unsigned pixels, unsigned channels, unsigned radius,
                                                       real bias, real alpha) {
    BackToMaxima step = {maxima, dy, places};
    normal_back(step, ConvNormal{channels, radius, bias, alpha}, dx, sums, pixels);
}

// What was normalised are the activation's results, and maxima of that were taken.
struct BackThroughMaxima {
    const real *whole, *b, *gradient;
    const unsigned char *places;
    ConvPooled pooled;
    bool rectified;

    __device__ real x(unsigned at, unsigned c) const { return activated(whole[at] + b[c], rectified); }
    __device__ real dy(unsigned at) const { return pooled.gathered(gradient, places, at); }
    __device__ bool passes(unsigned, real x) const { return !rectified || x > 0; }
};

extern "C" __global__ void conv_maxima_of_normalised_back(
    const real *__restrict__ whole, const real *__restrict__ b, const real *__restrict__ dy,
    const unsigned char *__restrict__ places, real *__restrict__ dx, real *__restrict__ sums, unsigned pixels,
    unsigned height, unsigned width, unsigned channels, unsigned rectified, unsigned radius, real bias, real alpha) {
    BackThroughMaxima step = {whole, b, dy, places, {height, width, channels}, rectified != 0};
    normal_back(step, ConvNormal{channels, radius, bias, alpha}, dx, sums, pixels);
}
