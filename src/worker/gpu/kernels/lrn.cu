// Local response normalisation across channels: y[c] = x[c] · s[c]^−¾ with s[c] = bias + alpha · Σ x[d]²
// over the channels d of the same pixel that are at most `radius` away. s^−¾ = r² / √r with r = 1 / √s.

// 1 / s and s^−¾.
static __device__ __forceinline__ void lrn_powers(real s, real *inverse, real *power) {
    real root = rsqrt(s);
    *inverse = root * root;
    *power = *inverse * rsqrt(root);
}

// The channels [first, last) that channel c is normalised by.
static __device__ __forceinline__ void lrn_window(
    unsigned c, unsigned channels, unsigned radius, unsigned *first, unsigned *last
) {
    *first = c > radius ? c - radius : 0;
    *last = channels - c > radius ? c + radius + 1 : channels;
}

// A thread for each of `count` numbers. Keeps every s for the way back.
extern "C" __global__ void lrn_forward(
    const real *__restrict__ x, real *__restrict__ y, real *__restrict__ scales, unsigned channels,
    unsigned radius, real bias, real alpha, unsigned count
) {
    unsigned at = thread_of_grid();
    if (at >= count) return;
    unsigned c = at % channels, first, last;
    const real *pixel = x + (at - c);
    lrn_window(c, channels, radius, &first, &last);
    real sum = 0;
    for (unsigned d = first; d < last; d++) sum += pixel[d] * pixel[d];
    real s = bias + alpha * sum, inverse, power;
    lrn_powers(s, &inverse, &power);
    scales[at] = s;
    y[at] = pixel[c] * power;
}

// dx[c] = dy[c] · s[c]^−¾ − 1.5 alpha x[c] · Σ dy[d] x[d] s[d]^−7/4 over the window of c.
extern "C" __global__ void lrn_backward(
    const real *__restrict__ x, const real *__restrict__ dy, const real *__restrict__ scales,
    real *__restrict__ dx, unsigned channels, unsigned radius, real alpha, unsigned count
) {
    unsigned at = thread_of_grid();
    if (at >= count) return;
    unsigned c = at % channels, pixel = at - c, first, last;
    lrn_window(c, channels, radius, &first, &last);
    real sum = 0, scaled = 0;
    for (unsigned d = first; d < last; d++) {
        real inverse, power;
        lrn_powers(scales[pixel + d], &inverse, &power);
        real term = dy[pixel + d] * power;
        if (d == c) scaled = term;
        sum += term * x[pixel + d] * inverse;
    }
    dx[at] = scaled - real(1.5) * alpha * x[at] * sum;
}
