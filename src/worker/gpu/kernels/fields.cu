// Sequences of frames of a field that moves, drawn on the device as the host draws them.

static constexpr unsigned WAVES = 4;
// Most periods of a wave over the image, in each direction.
static constexpr unsigned MOST_PERIODS = 3;
// Largest speed in each direction, in pixels a frame.
static constexpr float FASTEST = 2.0f;
static constexpr float WHOLE_TURN = 6.283185307179586f;
// Random numbers of a field: two of its velocity and four of each wave, in this order.
static constexpr unsigned FIELD_DRAWS = 2 + 4 * WAVES;

// Draw `place` of a field.
static __device__ float field_draw(word key, word number, unsigned place) {
    word bits = random_bits(key, number, place);
    if (place < 2) return random_uniform(bits, -FASTEST, FASTEST);
    switch ((place - 2) % 4) {
        case 0: return 1.0f + (float)random_below(bits, MOST_PERIODS);
        case 1: return (float)random_below(bits, 2 * MOST_PERIODS + 1) - (float)MOST_PERIODS;
        case 2: return random_uniform(bits, 0.0f, WHOLE_TURN);
        default: return random_uniform(bits, 0.2f, 1.0f);
    }
}

// The value of a field at a pixel of a frame, from its draws.
static __device__ float field_at(const float *field, float side, float x, float y, float frame) {
    const float *waves = field + 2;
    float whole = 0, value = 0;
    for (unsigned w = 0; w < WAVES; ++w) whole += waves[4 * w + 3];
    for (unsigned w = 0; w < WAVES; ++w) {
        const float *wave = waves + 4 * w;
        float column_sine, column_cosine, row_sine, row_cosine;
        sincosf(WHOLE_TURN * (wave[0] * (x - field[0] * frame)) / side, &column_sine, &column_cosine);
        sincosf(WHOLE_TURN * (wave[1] * (y - field[1] * frame)) / side + wave[2], &row_sine, &row_cosine);
        float amplitude = wave[3] * (0.5f / whole);
        value += amplitude * (column_cosine * row_cosine - column_sine * row_sine);
    }
    return 0.5f + value;
}

// Inputs (batch, side, side, frames) and targets (batch, side, side, predicted), which are the frames that
// follow. Examples are in the second direction of the grid, example first + stride * y there; one thread a
// pixel of a frame, first those of the inputs.
extern "C" __global__ void draw_fields(float *__restrict__ inputs, float *__restrict__ targets, word key, word first,
                                       word stride, unsigned side, unsigned frames, unsigned predicted) {
    __shared__ float field[FIELD_DRAWS];
    word number = first + stride * blockIdx.x;
    if (threadIdx.x < FIELD_DRAWS) field[threadIdx.x] = field_draw(key, number, threadIdx.x);
    __syncthreads();
    unsigned i = blockIdx.y * blockDim.x + threadIdx.x, seen = side * side * frames, count = frames;
    unsigned first_frame = 0, length = seen;
    float *values = inputs;
    if (i >= seen) {
        i -= seen;
        first_frame = frames;
        count = predicted;
        length = side * side * predicted;
        values = targets;
    }
    if (i >= length) return;
    unsigned frame = first_frame + i % count, pixel = i / count;
    values[(size_t)blockIdx.x * length + i] =
        field_at(field, (float)side, (float)(pixel % side), (float)(pixel / side), (float)frame);
}
