#!/usr/bin/env bash
# Every reader of the program under libFuzzer with the address and undefined-behaviour sanitizers: for FUZZ_SECONDS (60)
# or FUZZ_RUNS inputs each, beginning with Tests/Fuzz/seeds/READER and what earlier runs found. FUZZ_READERS names some of
# them. A crash or a hang ends it with the input's file. Of files that HDF5 reads, run and trace, each crash is looked at:
# HDF5 1.10 has faults of its own on files whose structure lies, which Sources/CHDF5/crash.c turns into a message. Those are
# counted; any other ends the script with status 1.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=.build/fuzz
# Swift's runtime keeps what it allocated once; growing memory meets rss_limit_mb.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
# Swift has no sanitizer for undefined behaviour: it traps. Package.swift instruments the C that reads files.
SPQAT_FUZZ=build swift build --scratch-path $scratch -c release --product fuzz \
  -Xswiftc -parse-as-library -Xswiftc -sanitize=fuzzer,address
failed=0
for reader in ${FUZZ_READERS:-png gzip tar idx cifar json experiment manifest run trace safetensors}; do
  corpus=$scratch/corpus/$reader
  mkdir -p "$corpus"
  case $reader in
    experiment) seeds=configs ;;
    trace) seeds=Tests/Fixtures/traces ;;
    *) seeds=Tests/Fuzz/seeds/$reader ;;
  esac
  echo "== $reader"
  found=$scratch/$reader-
  options=(-max_total_time="${FUZZ_SECONDS:-60}" -runs="${FUZZ_RUNS:--1}" -timeout=10 -rss_limit_mb=4096 -print_final_stats=1)
  case $reader in
    run | trace)
      rm -rf "$scratch/$reader-found"
      mkdir -p "$scratch/$reader-found"
      found=$scratch/$reader-found/
      options+=(-fork=1 -ignore_crashes=1 -max_len=262144) ;;
  esac
  if ! SPQAT_FUZZ=$reader $scratch/release/fuzz "$corpus" "$seeds" "${options[@]}" -artifact_prefix="$found" 2>&1 |
    tee "$scratch/$reader.log" |
    { grep -E "ERROR|SUMMARY|number_of_executed_units|Test unit written|Fatal error|runtime error" || :; }; then
    case $reader in
      run | trace) ;;
      *) failed=1 ;;
    esac
  fi
  case $reader in
    run | trace)
      grep -E '^#[0-9]+: cov' "$scratch/$reader.log" | tail -n 1
      inside=0
      for input in "$found"{crash,timeout,oom}-*; do
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
  esac
done
exit $failed
