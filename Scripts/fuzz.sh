#!/usr/bin/env bash
# Every reader of the program under libFuzzer with the address and undefined-behaviour sanitizers: for FUZZ_SECONDS (60)
# or FUZZ_RUNS inputs each, beginning with Tests/Fuzz/seeds/READER and what earlier runs found. FUZZ_READERS names some of
# them; FUZZ_BUILD=no takes the program as it was built last. A crash or a hang ends it with the input's file. Of files
# that HDF5 reads (run, trace, checkpoint) each crash is looked at: HDF5 1.10 has faults of its own on files whose structure
# lies, which Sources/CHDF5/crash.c turns into a message. Those are counted; any other ends the script with status 1.
# SPQAT_FUZZ=READER SPQAT_FUZZ_COPY=x.h5 .build/fuzz/release/fuzz INPUT writes the file that such an input stands for.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=.build/fuzz
# Swift's runtime keeps what it allocated once; growing memory meets rss_limit_mb.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:malloc_context_size=4:quarantine_size_mb=32}
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
for reader in ${FUZZ_READERS:-$plain run trace checkpoint}; do
  echo "== $reader"
  corpus=$scratch/corpus/$reader found=$scratch/found/$reader/ log=$scratch/$reader.log
  rm -rf "$found"
  mkdir -p "$corpus" "$found"
  options=(-max_total_time="${FUZZ_SECONDS:-60}" -runs="${FUZZ_RUNS:--1}" -timeout=10 -rss_limit_mb=4096
    -print_final_stats=1 -print_funcs=0 -artifact_prefix="$found")
  seeds=()
  [ ! -d "Tests/Fuzz/seeds/$reader" ] || seeds=("Tests/Fuzz/seeds/$reader")
  case $reader in
    # Names of settings, which chance would not find.
    experiment | setting)
      grep -oE '"[$A-Za-z][A-Za-z0-9]*"' configs/schema.json | sort -u | sed 's/"/\\"/g; s/.*/"&"/' >$scratch/names
      options+=(-dict=$scratch/names) ;;
    # Inputs are lists of changes (Tests/Fuzz/Sources/Changes.swift). Crashes of HDF5 do not end it.
    run | trace | checkpoint) options+=(-fork=1 -ignore_crashes=1 -max_len=33 -len_control=0) ;;
  esac
  status=0
  SPQAT_FUZZ=$reader $scratch/release/fuzz "${options[@]}" "$corpus" "${seeds[@]}" >"$log" 2>&1 || status=$?
  case $reader in
    run | trace | checkpoint)
      grep -E '^#[0-9]+: cov' "$log" | tail -n 1 || { tail -n 5 "$log"; failed=1; }
      inside=0
      for input in "$found"*; do
        [ -e "$input" ] || continue
        # The first frame that is neither a sanitizer's nor the C library's.
        first=$(SPQAT_FUZZ=$reader $scratch/release/fuzz "$input" -timeout=10 2>&1 | grep -E '^ +#[0-9]+ ' |
          grep -vE 'compiler-rt|/libc\.so' | head -n 1) || :
        case $input:$first in
          */crash-*libhdf5*) inside=$((inside + 1)) ;;
          *) echo "not a crash inside HDF5: $input: $first"; failed=1 ;;
        esac
      done
      echo "$inside crashes inside HDF5" ;;
    *)
      grep -E 'ERROR|SUMMARY|Test unit written|Fatal error|runtime error' "$log" || :
      grep -E '^#[0-9]+' "$log" | tail -n 1
      [ $status -eq 0 ] || failed=1 ;;
  esac
done
exit $failed
