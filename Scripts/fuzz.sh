#!/usr/bin/env bash
# Every reader of the program under libFuzzer with the address and undefined-behaviour sanitizers: for FUZZ_SECONDS (60)
# or FUZZ_RUNS inputs each, beginning with Tests/Fuzz/seeds/READER and what earlier runs found. FUZZ_READERS names some of
# them. A crash or a hang ends it with the input's file.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=.build/fuzz
# Swift's runtime keeps what it allocated once; growing memory meets rss_limit_mb.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0}
# Swift has no sanitizer for undefined behaviour: it traps. Package.swift instruments the C that reads files.
SPQAT_FUZZ=build swift build --scratch-path $scratch -c release --product fuzz \
  -Xswiftc -parse-as-library -Xswiftc -sanitize=fuzzer -Xswiftc -sanitize=address
for reader in ${FUZZ_READERS:-png gzip tar idx cifar json experiment manifest run trace safetensors}; do
  corpus=$scratch/corpus/$reader
  mkdir -p "$corpus"
  case $reader in
    experiment) seeds=configs ;;
    trace) seeds=Tests/Fixtures/traces ;;
    *) seeds=Tests/Fuzz/seeds/$reader ;;
  esac
  echo "== $reader"
  SPQAT_FUZZ=$reader $scratch/release/fuzz "$corpus" "$seeds" -max_total_time="${FUZZ_SECONDS:-60}" \
    -runs="${FUZZ_RUNS:--1}" -timeout=10 -rss_limit_mb=4096 -artifact_prefix="$scratch/$reader-" -print_final_stats=1 2>&1 |
    grep -E "ERROR|SUMMARY|number_of_executed_units|Test unit written|Fatal error|runtime error"
done
