#!/usr/bin/env bash
# Installs the system packages that building and the default data need, where they are missing. Says nothing otherwise.
#   setup.sh [PACKAGE ...]     further packages, by their Debian names
#   setup.sh --runtime         what the built program needs to run, no compiler
set -euo pipefail

swift_version=6.2

check_toolchain() {
  if ! command -v swift >/dev/null 2>&1; then
    echo "setup: no Swift toolchain found; install Swift $swift_version or later from https://www.swift.org/install/linux/ and put it on PATH" >&2
    exit 2
  fi
  local found
  found=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1)
  if [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$swift_version" "$found" | sort -V | head -n 1)" != "$swift_version" ]; then
    echo "setup: Swift $found is too old; install Swift $swift_version or later from https://www.swift.org/install/linux/" >&2
    exit 2
  fi
}

if [ "${1:-}" = --runtime ]; then
  shift
  needed=(libhdf5-103-1 libpng16-16)
else
  check_toolchain
  needed=(pkg-config libhdf5-dev libpng-dev)
fi

have() {
  case "$1" in
    libhdf5-dev) pkg-config --exists hdf5 2>/dev/null || ls /usr/include/hdf5/serial/hdf5.h /usr/include/hdf5.h >/dev/null 2>&1 ;;
    libpng-dev) pkg-config --exists libpng 2>/dev/null || [ -e /usr/include/png.h ] ;;
    pkg-config) command -v pkg-config >/dev/null 2>&1 ;;
    dataset-fashion-mnist) [ -d datasets/fashion-mnist ] || [ -d datasets/cifar10 ] || [ -d /usr/share/datasets/fashion-mnist ] ;;
    gnuplot-nox) command -v gnuplot >/dev/null 2>&1 ;;
    *) dpkg -s "$1" >/dev/null 2>&1 ;;
  esac
}

missing=()
for package in "${needed[@]}" "$@"; do
  have "$package" || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "setup: missing ${missing[*]}, and there is no apt-get to install them; install these packages' equivalents (HDF5 1.10 or later and libpng with headers, pkg-config) and run again" >&2
  exit 2
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "setup: missing ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
    exit 2
  fi
  root=(sudo)
fi
echo "setup: installing ${missing[*]}"
log=$(mktemp)
if ! { "${root[@]}" apt-get update -qq && "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  echo "setup: apt-get could not install ${missing[*]}; the lines above say why" >&2
  exit 2
fi
rm -f "$log"
