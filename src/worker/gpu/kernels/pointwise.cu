// Functions of single numbers, and of pairs of them at the same place: a thread for each place.

extern "C" __global__ void sigmoid_forward(const real *__restrict__ x, real *__restrict__ y, unsigned count) {
    unsigned i = thread_of_grid();
    if (i < count) y[i] = real(1) / (real(1) + exp(-x[i]));
}

extern "C" __global__ void sigmoid_backward(
    const real *__restrict__ y, const real *__restrict__ dy, real *__restrict__ dx, unsigned count
) {
    unsigned i = thread_of_grid();
    if (i < count) dx[i] = dy[i] * y[i] * (real(1) - y[i]);
}

extern "C" __global__ void tanh_forward(const real *__restrict__ x, real *__restrict__ y, unsigned count) {
    unsigned i = thread_of_grid();
    if (i < count) y[i] = tanh(x[i]);
}

extern "C" __global__ void tanh_backward(
    const real *__restrict__ y, const real *__restrict__ dy, real *__restrict__ dx, unsigned count
) {
    unsigned i = thread_of_grid();
    if (i < count) dx[i] = dy[i] * (real(1) - y[i] * y[i]);
}

extern "C" __global__ void sum_forward(
    const real *__restrict__ a, const real *__restrict__ b, real *__restrict__ y, unsigned count
) {
    unsigned i = thread_of_grid();
    if (i < count) y[i] = a[i] + b[i];
}

// Either gradient may be missing.
extern "C" __global__ void sum_backward(const real *__restrict__ dy, real *da, real *db, unsigned count) {
    unsigned i = thread_of_grid();
    if (i >= count) return;
    real gradient = dy[i];
    if (da) da[i] = gradient;
    if (db) db[i] = gradient;
}

extern "C" __global__ void product_forward(
    const real *__restrict__ a, const real *__restrict__ b, real *__restrict__ y, unsigned count
) {
    unsigned i = thread_of_grid();
    if (i < count) y[i] = a[i] * b[i];
}

// Either gradient may be missing.
extern "C" __global__ void product_backward(
    const real *__restrict__ a, const real *__restrict__ b, const real *__restrict__ dy, real *da, real *db,
    unsigned count
) {
    unsigned i = thread_of_grid();
    if (i >= count) return;
    real gradient = dy[i];
    if (da) da[i] = b[i] * gradient;
    if (db) db[i] = a[i] * gradient;
}
