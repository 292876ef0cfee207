#!/usr/bin/env bash
# Every reader of the program under libFuzzer with the address and undefined-behaviour sanitizers: for FUZZ_SECONDS (60)
# or FUZZ_RUNS inputs each, beginning with Tests/Fuzz/seeds/READER and what earlier runs found. FUZZ_READERS names some of
# them; FUZZ_BUILD=no takes the program as it was built last. A crash or a hang ends it with the input's file. Of files
# that HDF5 reads (run, trace, checkpoint) each crash is looked at: HDF5 1.10 has faults of its own on files whose structure
# lies, which Sources/CHDF5/crash.c turns into a message. Those are counted, and the fuzzer goes on with the inputs that are
# left; any other ends the script with status 1.
# SPQAT_FUZZ=READER SPQAT_FUZZ_COPY=x.h5 .build/fuzz/release/fuzz INPUT writes the file that such an input stands for.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=.build/fuzz
# Swift's runtime keeps what it allocated once; growing memory meets rss_limit_mb. Where memory was allocated costs a tenth
# of the time: run a crash's input again with another malloc_context_size.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:malloc_context_size=1:quarantine_size_mb=32}:allocator_may_return_null=1
# HDF5 asks for whatever a file claims, up to 4 GiB for one string, and takes no for an answer.
ASAN_OPTIONS+=:max_allocation_size_mb=512
# Swift has no sanitizer for undefined behaviour: it traps. Package.swift instruments the C that reads files.
[ "${FUZZ_BUILD:-}" = no ] || SPQAT_FUZZ=build swift build --scratch-path $scratch -c release --product fuzz \
  -Xswiftc -parse-as-library -Xswiftc -sanitize=fuzzer,address

# Readers of files get theirs in memory, where there is such a file system.
[ -w /dev/shm ] && export TMPDIR=/dev/shm
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

plain="png gzip tar idx cifar json experiment setting manifest index safetensors slurm lock claim"
failed=0
runs=${FUZZ_RUNS:--1} seconds=${FUZZ_SECONDS:-60}

fuzz() { SPQAT_FUZZ=$reader $scratch/release/fuzz "${options[@]}" "$@" "$corpus" "${seeds[@]}" >"$log" 2>&1; }

# The first frame of a report that is neither a sanitizer's nor the C library's.
first_frame() { grep -E '^ +#[0-9]+ 0x' | grep -vE 'compiler-rt|/libc\.so|/sysdeps/' | head -n 1; }

# Goes on after each crash or hang in a new process, which reads a few of the inputs again (a thirtieth of those counted), then
# looks at each. What an input left behind in HDF5 may crash on a later one, so sanitizers' reports are read; hangs have none.
outlast_hdf5() {
  local inputs file first inside=0
  ASAN_OPTIONS+=:log_path=$found/report fuzz -fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 \
    -max_total_time=$seconds -runs=$runs || :
  inputs=$(sed -nE 's/^#([0-9]+): .*/\1/p' "$log" | tail -n 1)
  [ -n "$inputs" ] || { tail -n 5 "$log"; failed=1; }
  for file in "$found"{report.,timeout-,oom-}*; do
    case $file in
      *'*') continue ;;
      */report.*)
        grep -q 'ERROR: ' "$file" || continue  # refused allocations are warnings
        first=$(first_frame <"$file") || : ;;
      *) first=$(SPQAT_FUZZ=$reader $scratch/release/fuzz -timeout=10 -rss_limit_mb=4096 "$file" 2>&1 | first_frame) || : ;;
    esac
    case $first in
      *libhdf5*) inside=$((inside + 1)) ;;
      *) echo "$file: not inside HDF5: ${first:-no frame}"; failed=1 ;;
    esac
  done
  echo "${inputs:-0} inputs, $inside crashes or hangs inside HDF5"
}

for reader in ${FUZZ_READERS:-$plain run trace checkpoint}; do
  echo "== $reader"
  corpus=$scratch/corpus/$reader found=$scratch/found/$reader/ log=$scratch/$reader.log
  rm -rf "$found"
  mkdir -p "$corpus" "$found"
  options=(-timeout=10 -rss_limit_mb=4096 -print_final_stats=1 -print_funcs=0 -detect_leaks=0
    -artifact_prefix="$found")
  seeds=()
  [ ! -d "Tests/Fuzz/seeds/$reader" ] || seeds=("Tests/Fuzz/seeds/$reader")
  # Longer inputs reach no more and take their time.
  case $reader in
    setting | slurm | lock | claim) options+=(-max_len=256) ;;
    experiment | manifest | index) options+=(-max_len=2048) ;;
  esac
  case $reader in
    # Names of settings, which chance would not find.
    experiment | setting)
      grep -oE '"[$A-Za-z][A-Za-z0-9]*"' configs/schema.json | sort -u | sed 's/"/\\"/g; s/.*/"&"/' >$scratch/names
      options+=(-dict=$scratch/names) ;;
    # Inputs are lists of changes (Tests/Fuzz/Sources/Changes.swift).
    run | trace | checkpoint) options+=(-max_len=33 -len_control=0) ;;
  esac
  case $reader in
    run | trace | checkpoint) outlast_hdf5 ;;
    *)
      status=0
      fuzz -max_total_time=$seconds -runs=$runs || status=$?
      grep -E 'ERROR|SUMMARY|Test unit written|Fatal error|runtime error' "$log" || :
      grep -E '^#[0-9]+' "$log" | tail -n 1
      [ $status -eq 0 ] || failed=1 ;;
  esac
done
exit $failed
