/* Peer of `all-reduce`: sums one array of floats over all ranks, in place, and prints the median rate.
 *
 *     mpicc -O2 -o mpi_all_reduce mpi_all_reduce.c
 *     mpirun -n 2 ./mpi_all_reduce [ELEMENTS] [ROUNDS]
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int elements = argc > 1 ? atoi(argv[1]) : 18882816, rounds = argc > 2 ? atoi(argv[2]) : 15, rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    float *array = malloc(sizeof(float) * elements);
    double *seconds = malloc(sizeof(double) * rounds);
    if (!array || !seconds || elements < 1 || rounds < 1)
        MPI_Abort(MPI_COMM_WORLD, 1);
    for (int i = 0; i < elements; i++)
        array[i] = rank;
    for (int round = -2; round < rounds; round++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        MPI_Allreduce(MPI_IN_PLACE, array, elements, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        double own = MPI_Wtime() - start, slowest;
        MPI_Allreduce(&own, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        if (round >= 0)
            seconds[round] = slowest;
        /* Keeps the numbers from growing beyond what a float holds. */
        for (int i = 0; i < elements; i++)
            array[i] = rank;
    }
    qsort(seconds, rounds, sizeof(double), ascending);
    if (rank == 0)
        printf("{\"program\": \"mpi\", \"ranks\": %d, \"gigabytes_per_second\": %.4f}\n", ranks,
               4e-9 * elements / seconds[rounds / 2]);
    MPI_Finalize();
    return 0;
}
