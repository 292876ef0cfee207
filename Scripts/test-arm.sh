#!/usr/bin/env bash
# Compiles the kernels for 64-bit Arm without a warning, and holds each against the reference under qemu-user
# (Tests/Arm/check_kernels.c): on a processor without dot products, on one with them, and on one with everything.
# Rounds of random shapes: SPQAT_ARM_ROUNDS, 200 by default. Skipped, with exit status 0, where the cross tools are missing
# and cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${SPQAT_ARM_ROUNDS:-200}
packages=(qemu-user libc6-dev-arm64-cross libgcc-12-dev-arm64-cross)

say() { echo "test-arm: $*"; }
skip() { say "skipped: $*"; exit 0; }

# The toolchain's clang: the one beside swift, which brings lld.
clang=$(dirname "$(readlink -f "$(command -v swift)")")/clang
[ -x "$clang" ] || clang=clang

base=$(mktemp -d)
trap 'rm -rf "$base"' EXIT
arm() { "$clang" --target=aarch64-linux-gnu -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -ISources/CKernels/include "$@"; }
builds() { echo 'int main(void) { return 0; }' | arm -static -fuse-ld=lld -x c - -o "$base/empty" 2>/dev/null; }

if ! command -v qemu-aarch64 >/dev/null 2>&1 || ! builds; then
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo -n)
  command -v apt-get >/dev/null 2>&1 || skip "no cross tools here and no apt-get to install them: ${packages[*]}"
  say "installing ${packages[*]}"
  { "${root[@]}" apt-get update -qq \
    && "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } \
    >/dev/null 2>&1 || skip "apt-get cannot install ${packages[*]}"
  builds || skip "$clang cannot link a program for 64-bit Arm"
fi

arm -static -fuse-ld=lld -o "$base/check" Sources/CKernels/*.c Sources/CKernels/elementwise/*.c Tests/Arm/check_kernels.c -lm
for cpu in cortex-a53 neoverse-n1 max; do
  expected="portable neon"
  [ "$cpu" = cortex-a53 ] && expected=portable
  say "$cpu"
  qemu-aarch64 -cpu "$cpu" "$base/check" "$rounds" | tee "$base/output"
  found=$(sed -n 's/^\([a-z0-9]*\): [0-9]* checks.*/\1/p' "$base/output" | tr '\n' ' ')
  [ "$found" = "$expected " ] || { say "$cpu has '$found', not '$expected '"; exit 1; }
done
