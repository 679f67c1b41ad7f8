// Updates of f32 weights by f32 gradients, and means of gradients, of all variables in one launch. Each
// block has the numbers of one variable from some place on; tables say which.

// Adam's constants, as on the CPU (Kingma, Ba 2015).
#define UPDATE_BETA1 0.9f
#define UPDATE_BETA2 0.999f
#define UPDATE_EPSILON 1e-8f

// One variable. Arrays that the rule does not keep are null.
struct UpdatePart {
    float *weights;
    const float *gradient;
    float *mean, *square, *average;
    unsigned long long length;
};

// The part that a block works on, and its first number.
struct UpdateBlock {
    unsigned part, first;
};

// What follows from the number of steps so far.
struct UpdateState {
    unsigned long long steps;
    // The powers of both betas by the steps.
    double power1, power2;
    // The product of all stairs of the learning rate that the steps have gone down.
    double stairs;
    // Blocks of this step that are done.
    unsigned arrived, unused;
};

// The learning rate before the first stair, and the factor of each stair; no stairs where they have no steps.
struct UpdateSchedule {
    double learning_rate, factor;
    unsigned long long stair_steps;
};

struct UpdateRates {
    float learning, average;
};

static __device__ UpdateRates update_rates(const UpdateState &state, double learning_rate, bool adam) {
    double now = static_cast<double>(state.steps + 1);
    double correction = 1;
    if (adam) {
        double power1 = state.power1 * double(UPDATE_BETA1), power2 = state.power2 * double(UPDATE_BETA2);
        correction = sqrt(1.0 - power2) / (1.0 - power1);
    }
    double decay = (1.0 + now) / (10.0 + now);
    return {
        float(learning_rate * state.stairs * correction),
        float(1.0 - (decay < 0.9999 ? decay : 0.9999)),
    };
}

static __device__ void update_advance(UpdateState *state, const UpdateSchedule &schedule) {
    state->steps += 1;
    state->power1 *= double(UPDATE_BETA1);
    state->power2 *= double(UPDATE_BETA2);
    if (schedule.stair_steps && state->steps % schedule.stair_steps == 0) state->stairs *= schedule.factor;
}

// The first `count` of four numbers, in one access where all are wanted.
static __device__ __forceinline__ void update_load(float (&to)[4], const float *from, unsigned count) {
    if (count == 4 && reinterpret_cast<unsigned long long>(from) % 16 == 0) {
        float4 four = *reinterpret_cast<const float4 *>(from);
        to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
        return;
    }
    for (unsigned k = 0; k < 4; k++) to[k] = k < count ? from[k] : 0.0f;
}

static __device__ __forceinline__ void update_store(const float (&from)[4], float *to, unsigned count) {
    if (count == 4 && reinterpret_cast<unsigned long long>(to) % 16 == 0) {
        *reinterpret_cast<float4 *>(to) = make_float4(from[0], from[1], from[2], from[3]);
        return;
    }
    for (unsigned k = 0; k < 4; k++) {
        if (k < count) to[k] = from[k];
    }
}

// Numbers that this thread has of a part of this length: 0 to 4, from `first` on.
static __device__ __forceinline__ unsigned update_share(UpdateBlock block, unsigned length, unsigned *first) {
    *first = block.first + 4 * threadIdx.x;
    return *first < length ? min(length - *first, 4u) : 0;
}

// from + rate · (to − from)
static __device__ __forceinline__ float update_approach(float from, float to, float rate) {
    return fmaf(rate, to - from, from);
}

// Updates the numbers of this block. Weights and gradients are on their way while the rates are computed.
template <bool ADAM, bool AVERAGE>
static __device__ void update_block(
    const UpdatePart *parts, const UpdateBlock *blocks, UpdateState *state, UpdateSchedule schedule, float scale
) {
    __shared__ UpdateRates rates;
    UpdatePart part = parts[blocks[blockIdx.x].part];
    unsigned at, count = update_share(blocks[blockIdx.x], static_cast<unsigned>(part.length), &at);
    float weights[4], gradient[4], mean[4], square[4], average[4];
    update_load(weights, part.weights + at, count);
    update_load(gradient, part.gradient + at, count);
    if (ADAM) update_load(mean, part.mean + at, count);
    if (ADAM) update_load(square, part.square + at, count);
    if (AVERAGE) update_load(average, part.average + at, count);
    if (threadIdx.x == 0) rates = update_rates(*state, schedule.learning_rate, ADAM);
    __syncthreads();
    for (unsigned k = 0; k < 4; k++) {
        float step = scale * gradient[k];
        if (ADAM) {
            mean[k] = update_approach(mean[k], step, 1.0f - UPDATE_BETA1);
            square[k] = update_approach(square[k], step * step, 1.0f - UPDATE_BETA2);
            step = mean[k] / (sqrtf(square[k]) + UPDATE_EPSILON);
        }
        weights[k] = fmaf(-rates.learning, step, weights[k]);
        if (AVERAGE) average[k] = update_approach(average[k], weights[k], rates.average);
    }
    update_store(weights, part.weights + at, count);
    if (ADAM) update_store(mean, part.mean + at, count);
    if (ADAM) update_store(square, part.square + at, count);
    if (AVERAGE) update_store(average, part.average + at, count);
    if (threadIdx.x > 0) return;
    // All blocks have read the state before the last of them changes it.
    __threadfence();
    if (atomicInc(&state->arrived, gridDim.x - 1) == gridDim.x - 1) update_advance(state, schedule);
}

#define UPDATE_KERNEL(name, adam, average)                                                                 \
    extern "C" __global__ void name(                                                                       \
        const UpdatePart *parts, const UpdateBlock *blocks, UpdateState *state, double learning_rate,      \
        double factor, unsigned long long stair_steps, float scale                                         \
    ) {                                                                                                    \
        UpdateSchedule schedule = {learning_rate, factor, stair_steps};                                    \
        update_block<adam, average>(parts, blocks, state, schedule, scale);                                \
    }

UPDATE_KERNEL(update_sgd, false, false)
UPDATE_KERNEL(update_sgd_averaged, false, true)
UPDATE_KERNEL(update_adam, true, false)
UPDATE_KERNEL(update_adam_averaged, true, true)

// A result, as long as each of its sources.
struct MeanPart {
    float *result;
    unsigned long long length;
};

// result = scale · Σ source for each part, whose sources stand one after the other, added in their order.
extern "C" __global__ void mean_of(
    const MeanPart *parts, const float *const *sources, const UpdateBlock *blocks, unsigned count, float scale
) {
    UpdateBlock block = blocks[blockIdx.x];
    MeanPart part = parts[block.part];
    unsigned first, share = update_share(block, static_cast<unsigned>(part.length), &first);
    sources += block.part * count;
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (unsigned i = 0; i < count; i++) {
        float gradient[4];
        update_load(gradient, sources[i] + first, share);
        for (unsigned k = 0; k < 4; k++) sum[k] = fmaf(scale, gradient[k], sum[k]);
    }
    update_store(sum, part.result + first, share);
}
