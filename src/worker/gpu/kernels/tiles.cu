// Products of matrices in tiles: a block of 64 threads makes a tile of 64 x 64 numbers, 8 x 8 of them a thread,
// in steps of 16 terms. The next step's numbers are on their way from memory while the products of this one are
// summed.

#define TILE 64
#define TILE_DEPTH 16
// Threads of a block; each one brings 16 numbers of either matrix for each step.
#define TILE_THREADS 64

// What one step needs of one matrix, a line of 64 for each term, padded against bank conflicts.
struct TileStep {
    Four lines[TILE_DEPTH][TILE / 4 + 1];

    __device__ real *line(int term) { return lines[term][0].at; }
};

// The 16 numbers that a thread brings.
struct TileLoad {
    Four fours[4];

    __device__ real &at(int i) { return fours[i / 4].at[i % 4]; }
};

// A thread brings four numbers in a row of four lines, or one number of all 16 lines.
template <bool FOUR> static __device__ void put_lines(TileStep &step, TileLoad &load) {
    int t = threadIdx.x;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (FOUR) step.lines[t / 16 + 4 * i][t % 16] = load.fours[i];
    }
#pragma unroll
    for (int i = 0; i < 16; i++) {
        if (!FOUR) step.line(i)[t] = load.at(i);
    }
}

// Rows of a matrix as they lie in memory, 64 columns of it from `column` on; zeros outside of it.
template <bool FOUR> struct TileRows {
    const real *from;
    unsigned rows, columns, row, column;

    __device__ TileRows(const real *from, unsigned first, unsigned rows, unsigned columns, unsigned column)
        : from(from), rows(rows), columns(columns), row(first + (FOUR ? threadIdx.x / 16 : 0)),
          column(column + (FOUR ? threadIdx.x % 16 * 4 : threadIdx.x)) {}

    __device__ void load(TileLoad &load) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            unsigned r = row + 4 * i;
            if (FOUR) load.fours[i] = r < rows && column < columns ? four_at(from + r * columns + column) : Four{};
        }
#pragma unroll
        for (int i = 0; i < 16; i++) {
            unsigned r = row + i;
            if (!FOUR) load.at(i) = r < rows && column < columns ? from[r * columns + column] : (real)0;
        }
        row += TILE_DEPTH;
    }

    __device__ void put(TileStep &step, TileLoad &load) const { put_lines<FOUR>(step, load); }
};

// Rows and columns of a tile that a thread has: four from four times its number on, and four 32 behind those.
static __device__ __forceinline__ int tile_row(int i) { return threadIdx.x / 8 * 4 + i % 4 + i / 4 * 32; }
static __device__ __forceinline__ int tile_column(int i) { return threadIdx.x % 8 * 4 + i % 4 + i / 4 * 32; }

// Adds the products of one step to the sums of a thread.
static __device__ __forceinline__ void tile_multiply(const TileStep &left, const TileStep &right, real (&sums)[8][8]) {
    int row = threadIdx.x / 8, column = threadIdx.x % 8;
#pragma unroll
    for (int term = 0; term < TILE_DEPTH; term++) {
        Four a[2] = {left.lines[term][row], left.lines[term][row + 8]};
        Four b[2] = {right.lines[term][column], right.lines[term][column + 8]};
#pragma unroll
        for (int i = 0; i < 8; i++) {
#pragma unroll
            for (int j = 0; j < 8; j++) sums[i][j] += a[i / 4].at[i % 4] * b[j / 4].at[j % 4];
        }
    }
}

// A tile of the product of two matrices with so many terms.
template <class Left, class Right>
static __device__ __forceinline__ void tile_product(Left &left, Right &right, unsigned terms, real (&sums)[8][8]) {
    __shared__ TileStep lefts[2], rights[2];
    TileLoad next_left, next_right;
    left.load(next_left);
    right.load(next_right);
    for (unsigned done = 0, now = 0; done < terms; done += TILE_DEPTH, now ^= 1) {
        left.put(lefts[now], next_left);
        right.put(rights[now], next_right);
        __syncthreads();
        if (done + TILE_DEPTH < terms) {
            left.load(next_left);
            right.load(next_right);
        }
        tile_multiply(lefts[now], rights[now], sums);
    }
}

// Writes a tile that begins at (row, column) of a matrix of so many rows and columns.
template <bool FOUR>
static __device__ __forceinline__ void put_tile(const real (&sums)[8][8], real *to, unsigned row, unsigned column,
                                                unsigned rows, unsigned columns) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
        unsigned r = row + tile_row(i);
#pragma unroll
        for (int j = 0; j < 8; j += FOUR ? 4 : 1) {
            unsigned c = column + tile_column(j);
            if (r >= rows || c >= columns) continue;
            real *place = to + r * columns + c;
            if (FOUR) four_at(place) = Four{sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]};
            else *place = sums[i][j];
        }
    }
}

