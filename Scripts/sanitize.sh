#!/usr/bin/env bash
# Kernel tests, tests of threads and storage, and a short training with several threads under sanitizers.
# usage: Scripts/sanitize.sh [thread] [address]      (default: both)
# `address` also finds undefined behaviour in C. Each builds everything once, in .build-tsan and .build-asan, which takes
# minutes. A finding ends the process that it is in, and this script with status 1.
set -u
cd "$(dirname "$0")/.."
limit=${SPQAT_SANITIZE_SECONDS:-900}   # for the tests, and for the training, of one sanitizer
tests='KernelsTests|TensorTests|StorageTests|PNGTests|SteadyStateTests'
# Of the kernels' tests those with threads: the others call a kernel on the thread that owns the memory.
threaded='CPUBackendTests|TensorTests|StorageTests|BatchSourceTests|PictureBatchesTests|DatasetIndexTests|SteadyStateTests'
findings='WARNING: ThreadSanitizer|ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|✘'
failed=0

fail() { echo "sanitize: $*" >&2; failed=1; }

# sanitizer, scratch path, tests, functions that instrumented code calls, further options of the build
check() {
  local sanitizer=$1 scratch=$2 tests=$3 calls=$4 work begun=$SECONDS unit call
  shift 4
  work=$(mktemp -d)
  options=(-c release --disable-testable-imports --sanitize "$sanitizer" --scratch-path "$scratch" "$@")
  echo "sanitize: $sanitizer: building"
  # Of no test: swift build does not know all of these options.
  if ! swift test "${options[@]}" --filter '^$' >"$work/build" 2>&1; then
    grep -E 'error|warning' "$work/build" | tail -n 20 >&2
    fail "$sanitizer: the build failed"
    rm -rf "$work"
    return
  fi
  # Flags that do not reach the kernels would leave nothing to find in them.
  for unit in "$scratch"/release/CKernels.build/kernels_*.o; do
    grep -q sq_kernels_ "$unit" || continue  # of another processor's instruction set: empty here
    for call in $calls; do
      grep -q "$call" "$unit" || fail "$sanitizer: $unit calls no $call...: it is not instrumented"
    done
  done
  echo "sanitize: $sanitizer: built in $((SECONDS - begun)) s; tests"
  if timeout "$limit" swift test "${options[@]}" --skip-build --filter "$tests" >"$work/tests" 2>&1; then
    grep -E 'Test run with' "$work/tests" | sed "s/^[^T]*/sanitize: $sanitizer: /"
  else
    fail "$sanitizer: the tests failed"
  fi
  if timeout "$limit" "$scratch/release/spqat" sweep configs/table2.json --profile smoke --only W2A2 --threads 3 \
    --results "$work/results" >"$work/sweep" 2>&1; then
    grep -E 'trained' "$work/sweep" | sed "s/^/sanitize: $sanitizer: /"
  else
    fail "$sanitizer: the training failed"
  fi
  if grep -qE "$findings" "$work/tests" "$work/sweep"; then
    grep -hE "$findings" -A 12 "$work/tests" "$work/sweep" | head -n 100 >&2
    fail "$sanitizer: see above"
  fi
  rm -rf "$work"
  echo "sanitize: $sanitizer: $((SECONDS - begun)) s"
}

export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/Scripts/thread-sanitizer.txt}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
# A crash report of Swift's own would only hide the sanitizer's.
export SWIFT_BACKTRACE=enable=no
export SPQAT_SANITIZE=1
[ $# -gt 0 ] || set -- thread address
for sanitizer in "$@"; do
  case $sanitizer in
    thread) check thread .build-tsan "$threaded" __tsan_ ;;
    address) check address .build-asan "$tests" '__asan_ __ubsan_' -Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=undefined ;;
    *) echo "sanitize: no sanitizer '$sanitizer'; there are thread and address" >&2; exit 2 ;;
  esac
done
exit $failed
