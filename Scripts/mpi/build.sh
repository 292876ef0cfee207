#!/usr/bin/env bash
# Builds the library through which the program speaks with MPI, by the MPI whose mpicc is found first.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v mpicc >/dev/null 2>&1 ||
  { echo "make mpi: no mpicc; install an MPI, on Debian and Ubuntu: apt-get install libopenmpi-dev openmpi-bin" >&2; exit 2; }
mkdir -p .build/mpi
mpicc -std=c11 -O2 -Wall -Wextra -Werror -shared -fPIC -o .build/mpi/libspqat-mpi.so Scripts/mpi/mpi.c
