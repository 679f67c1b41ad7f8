// Random numbers, and batches of them. The same numbers as the host draws for a key and a number: SplitMix64
// from a counter, so that every thread can ask for any of them.

typedef unsigned long long word;

static __device__ __forceinline__ word split_mix(word z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

// 64 bits: number `place`, from 0 on, of the stream that key and number start.
static __device__ __forceinline__ word random_bits(word key, word number, unsigned place) {
    const word increment = 0x9e3779b97f4a7c15ull;
    return split_mix(split_mix(key ^ number * increment) + (place + 1ull) * increment);
}

// The lowest 24 bits as a fraction of 2^24.
static __device__ __forceinline__ float random_unit(word bits) {
    return (float)(unsigned)(bits & 0xffffffu) / 16777216.0f;
}

static __device__ __forceinline__ float random_uniform(word bits, float low, float high) {
    return low + (high - low) * random_unit(bits >> 40);
}

static __device__ __forceinline__ unsigned random_below(word bits, unsigned bound) {
    return (unsigned)__umul64hi(bits, bound);
}

// Two numbers of each row, by Box and Muller; the last of a row of odd length is one.
static __device__ void normal_pair(float *rows, word key, word number, unsigned row, unsigned pair, unsigned width) {
    word bits = random_bits(key, number, pair);
    float radius = sqrtf(-2.0f * logf(1.0f - random_unit(bits >> 40)));
    float sine, cosine;
    sincosf(6.283185307179586f * random_unit(bits), &sine, &cosine);
    float *values = rows + (size_t)row * width + 2 * pair;
    values[0] = radius * cosine;
    if (2 * pair + 1 < width) values[1] = radius * sine;
}

// Input vectors and target vectors of a batch, (batch, width) each: row r is example first + stride * r. One
// thread a pair, first those of the inputs.
extern "C" __global__ void draw_normal(float *__restrict__ inputs, float *__restrict__ targets, word input_key,
                                       word target_key, word first, word stride, unsigned batch,
                                       unsigned input_width, unsigned target_width) {
    unsigned i = thread_of_grid();
    unsigned input_pairs = (input_width + 1) / 2, target_pairs = (target_width + 1) / 2;
    if (i < batch * input_pairs) {
        unsigned row = i / input_pairs;
        normal_pair(inputs, input_key, first + stride * row, row, i % input_pairs, input_width);
        return;
    }
    i -= batch * input_pairs;
    if (i >= batch * target_pairs) return;
    unsigned row = i / target_pairs;
    normal_pair(targets, target_key, first + stride * row, row, i % target_pairs, target_width);
}
