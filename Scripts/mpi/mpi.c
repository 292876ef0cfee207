// What `mpirun -n N spqat` needs of MPI, as a library that the program loads when it was started by one: the program
// itself neither needs MPI nor knows whose it is. Built by `make mpi`. MPI ends all processes at an error, so nothing
// is returned.
#include <mpi.h>
#include <stddef.h>

// A count of bytes is an int in MPI.
static const size_t most = (size_t)1 << 30;

void spqat_mpi_start(int *rank, int *size) {
  int level;
  MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  MPI_Comm_size(MPI_COMM_WORLD, size);
}

void spqat_mpi_exchange(const void *sent, void *received, size_t bytes, int partner) {
  for (size_t first = 0; first < bytes; first += most) {
    int count = (int)(bytes - first < most ? bytes - first : most);
    MPI_Sendrecv(
        (const char *)sent + first, count, MPI_BYTE, partner, 0, (char *)received + first, count, MPI_BYTE, partner, 0,
        MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }
}

void spqat_mpi_broadcast(void *data, size_t bytes, int root) {
  for (size_t first = 0; first < bytes; first += most) {
    int count = (int)(bytes - first < most ? bytes - first : most);
    MPI_Bcast((char *)data + first, count, MPI_BYTE, root, MPI_COMM_WORLD);
  }
}

void spqat_mpi_end(void) { MPI_Finalize(); }
