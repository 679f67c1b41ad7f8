// The distortion of images on the device: the whole of it as one kernel, and as a chain of small ones.
// Images come as bytes (channel, row, column) and go out as float (row, column, channel).

static constexpr unsigned IMAGE_SIDE = 32;
static constexpr unsigned IMAGE_CHANNELS = 3;
static constexpr unsigned IMAGE_BYTES = IMAGE_CHANNELS * IMAGE_SIDE * IMAGE_SIDE;
static constexpr unsigned CROP_SIDE = 24;
static constexpr unsigned CROP_PIXELS = CROP_SIDE * CROP_SIDE;
static constexpr unsigned CROP_LENGTH = CROP_PIXELS * IMAGE_CHANNELS;
// The least standard deviation by which an image is divided: 1 / sqrt(CROP_LENGTH).
static constexpr double LEAST_DEVIATION = 0.024056261216234408;
// Threads of a block that has one image: a multiple of the channels, so that each thread stays with one,
// and with halves down to them; and whole warps.
static constexpr unsigned IMAGE_THREADS = 192;

// The random part of one image's distortion, and its class; packed by the host.
struct Distortion {
    unsigned top, left, flip;
    float brightness, contrast;
    unsigned label;
};

// One byte of a crop.
static __device__ __forceinline__ unsigned char cropped(const unsigned char *image, const Distortion &distortion,
                                                        unsigned pixel, unsigned channel) {
    unsigned row = pixel / CROP_SIDE, column = pixel % CROP_SIDE;
    if (distortion.flip) column = CROP_SIDE - 1 - column;
    return image[(channel * IMAGE_SIDE + distortion.top + row) * IMAGE_SIDE + distortion.left + column];
}

// The map from the bytes of a crop to its values: scale * (x - centre) + shift.
struct CropMap {
    float scale, centres[IMAGE_CHANNELS], shifts[IMAGE_CHANNELS];
};

// From sums and sums of squares of each channel. Whole numbers as far as possible, then double: with a
// centre next to the mean nothing large cancels in float.
static __device__ void map_of(const unsigned *sums, const unsigned *squares, double contrast, CropMap &map) {
    double means[IMAGE_CHANNELS], mean = 0, within = 0, between = 0;
    for (unsigned c = 0; c < IMAGE_CHANNELS; ++c) {
        unsigned long long sum = sums[c], square = squares[c];
        means[c] = (double)sum / CROP_PIXELS;
        mean += means[c];
        within += (double)(CROP_PIXELS * square - sum * sum) / ((double)CROP_PIXELS * CROP_PIXELS);
    }
    mean /= IMAGE_CHANNELS;
    for (unsigned c = 0; c < IMAGE_CHANNELS; ++c) between += (means[c] - mean) * (means[c] - mean);
    double deviation = fmax(sqrt((contrast * contrast * within + between) / IMAGE_CHANNELS), LEAST_DEVIATION);
    map.scale = (float)(contrast / deviation);
    for (unsigned c = 0; c < IMAGE_CHANNELS; ++c) {
        double centre = round(means[c]);
        map.centres[c] = (float)centre;
        map.shifts[c] = (float)((contrast * (centre - means[c]) + means[c] - mean) / deviation);
    }
}

// Adds a warp's numbers to one in shared memory. Whole numbers: their order does not matter.
static __device__ __forceinline__ void add_of_warp(unsigned *sum, unsigned number) {
    for (unsigned half = 16; half > 0; half /= 2) number += __shfl_down_sync(0xffffffffu, number, half);
    if (threadIdx.x % 32 == 0) atomicAdd(sum, number);
}

// One image a block of IMAGE_THREADS: its bytes go to shared memory in the order of the result, with sums
// over them, and from there as values to the result, four at a time.
extern "C" __global__ void distort_fused(const unsigned char *__restrict__ images,
                                         const Distortion *__restrict__ distortions, float *__restrict__ results,
                                         unsigned *__restrict__ targets) {
    __shared__ unsigned quads[CROP_LENGTH / 4];
    __shared__ unsigned sums[IMAGE_CHANNELS], squares[IMAGE_CHANNELS];
    __shared__ CropMap map;
    const Distortion distortion = distortions[blockIdx.x];
    const unsigned char *image = images + (size_t)blockIdx.x * IMAGE_BYTES;
    if (threadIdx.x < IMAGE_CHANNELS) sums[threadIdx.x] = squares[threadIdx.x] = 0;
    __syncthreads();
    unsigned char *bytes = (unsigned char *)quads;
    for (unsigned c = 0; c < IMAGE_CHANNELS; ++c) {
        unsigned sum = 0, square = 0;
        for (unsigned pixel = threadIdx.x; pixel < CROP_PIXELS; pixel += IMAGE_THREADS) {
            unsigned x = cropped(image, distortion, pixel, c);
            bytes[pixel * IMAGE_CHANNELS + c] = (unsigned char)x;
            sum += x;
            square += x * x;
        }
        add_of_warp(&sums[c], sum);
        add_of_warp(&squares[c], square);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        map_of(sums, squares, distortion.contrast, map);
        targets[blockIdx.x] = distortion.label;
    }
    __syncthreads();
    float4 *result = (float4 *)(results + (size_t)blockIdx.x * CROP_LENGTH);
    for (unsigned quad = threadIdx.x; quad < CROP_LENGTH / 4; quad += IMAGE_THREADS) {
        float values[4];
        for (unsigned i = 0; i < 4; ++i) {
            unsigned channel = (4 * quad + i) % IMAGE_CHANNELS;
            float x = (float)(quads[quad] >> 8 * i & 255);
            values[i] = (x - map.centres[channel]) * map.scale + map.shifts[channel];
        }
        result[quad] = make_float4(values[0], values[1], values[2], values[3]);
    }
}

// The chain. Images are in the first direction of the grid, one for an image alone, all of them for a batch;
// the parts of an image in the second. Each kernel but the first works on the values in their place.

// The number of this thread among those of an image.
static __device__ __forceinline__ unsigned thread_of_image() {
    return blockIdx.y * blockDim.x + threadIdx.x;
}

extern "C" __global__ void distort_crop(const unsigned char *__restrict__ images,
                                        const Distortion *__restrict__ distortions, float *__restrict__ values,
                                        unsigned *__restrict__ targets) {
    unsigned i = thread_of_image(), image = blockIdx.x;
    if (i >= CROP_LENGTH) return;
    const unsigned char *bytes = images + (size_t)image * IMAGE_BYTES;
    unsigned char byte = cropped(bytes, distortions[image], i / IMAGE_CHANNELS, i % IMAGE_CHANNELS);
    values[(size_t)image * CROP_LENGTH + i] = (float)byte;
    if (i == 0) targets[image] = distortions[image].label;
}

extern "C" __global__ void distort_brightness(const Distortion *__restrict__ distortions, float *__restrict__ values) {
    unsigned i = thread_of_image(), image = blockIdx.x;
    if (i < CROP_LENGTH) values[(size_t)image * CROP_LENGTH + i] += distortions[image].brightness;
}

// The sums of one part of a block's threads for each channel, in the first threads' places.
static __device__ void sum_of_channels(double *parts, double part) {
    __syncthreads();
    parts[threadIdx.x] = part;
    for (unsigned half = IMAGE_THREADS / 2; half >= IMAGE_CHANNELS; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
    }
    __syncthreads();
}

// Means of the channels, (image, channel). One image a block of IMAGE_THREADS.
extern "C" __global__ void distort_means(const float *__restrict__ values, float *__restrict__ means) {
    __shared__ double parts[IMAGE_THREADS];
    const float *of_image = values + (size_t)blockIdx.x * CROP_LENGTH;
    double part = 0;
    for (unsigned i = threadIdx.x; i < CROP_LENGTH; i += IMAGE_THREADS) part += of_image[i];
    sum_of_channels(parts, part);
    if (threadIdx.x < IMAGE_CHANNELS)
        means[blockIdx.x * IMAGE_CHANNELS + threadIdx.x] = (float)(parts[threadIdx.x] / CROP_PIXELS);
}

extern "C" __global__ void distort_contrast(const Distortion *__restrict__ distortions, const float *__restrict__ means,
                                            float *__restrict__ values) {
    unsigned i = thread_of_image(), image = blockIdx.x;
    if (i >= CROP_LENGTH) return;
    float mean = means[image * IMAGE_CHANNELS + i % IMAGE_CHANNELS];
    float *value = values + (size_t)image * CROP_LENGTH + i;
    *value = (*value - mean) * distortions[image].contrast + mean;
}

// Mean and standard deviation, or the least one, of each image. One image a block of IMAGE_THREADS.
extern "C" __global__ void distort_moments(const float *__restrict__ values, float *__restrict__ moments) {
    __shared__ double parts[IMAGE_THREADS];
    const float *of_image = values + (size_t)blockIdx.x * CROP_LENGTH;
    double part = 0;
    for (unsigned i = threadIdx.x; i < CROP_LENGTH; i += IMAGE_THREADS) part += of_image[i];
    sum_of_channels(parts, part);
    double mean = (parts[0] + parts[1] + parts[2]) / CROP_LENGTH;
    part = 0;
    for (unsigned i = threadIdx.x; i < CROP_LENGTH; i += IMAGE_THREADS) part += (of_image[i] - mean) * (of_image[i] - mean);
    sum_of_channels(parts, part);
    if (threadIdx.x > 0) return;
    moments[2 * blockIdx.x] = (float)mean;
    moments[2 * blockIdx.x + 1] = (float)fmax(sqrt((parts[0] + parts[1] + parts[2]) / CROP_LENGTH), LEAST_DEVIATION);
}

extern "C" __global__ void distort_standardise(const float *__restrict__ moments, float *__restrict__ values) {
    unsigned i = thread_of_image(), image = blockIdx.x;
    if (i >= CROP_LENGTH) return;
    float *value = values + (size_t)image * CROP_LENGTH + i;
    *value = (*value - moments[2 * image]) / moments[2 * image + 1];
}
