#!/usr/bin/env bash
# The training step beside PyTorch's, in turn, and its convolutions beside oneDNN's where libdnnl-dev is installed.
# PyTorch comes from a virtual environment of its own; what else is built here lies in it too:
#   TORCH_REQUIREMENT="torch==2.13.0+cpu" Scripts/peer/bench-peer.sh [OPTIONS OF compare.py]
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=.venv-peer
requirement=${TORCH_REQUIREMENT:-}
stamp="$environment/installed: ${requirement:-$(tr '\n' ' ' < Scripts/peer/requirements.txt)}"
if [ "$(cat "$environment/stamp" 2>/dev/null)" != "$stamp" ]; then
  command -v python3 >/dev/null 2>&1 || { echo "bench-peer: no python3; skipped"; exit 0; }
  echo "bench-peer: installing ${requirement:-Scripts/peer/requirements.txt} into $environment" >&2
  python3 -m venv --clear "$environment"
  if [ -n "$requirement" ]; then
    "$environment/bin/pip" install --quiet --disable-pip-version-check "$requirement" numpy
  else
    "$environment/bin/pip" install --quiet --disable-pip-version-check -r Scripts/peer/requirements.txt
  fi || { echo "bench-peer: could not install PyTorch; set TORCH_REQUIREMENT to one that your package index has" >&2; exit 2; }
  echo "$stamp" > "$environment/stamp"
fi

# oneDNN's convolutions, where its headers and g++ are (whose OpenMP is the one that Debian's oneDNN has).
onednn="$environment/onednn_convolutions" source=Scripts/peer/onednn_convolutions.cpp
if ! echo '#include <oneapi/dnnl/dnnl.hpp>' | g++ -std=c++17 -fsyntax-only -x c++ - >/dev/null 2>&1; then
  echo "bench-peer: no g++ or no libdnnl-dev; oneDNN's convolutions are left out" >&2
elif [ "$onednn" -nt "$source" ] || g++ -std=c++17 -O2 -Wall -Wextra -fopenmp -o "$onednn" "$source" -ldnnl; then
  set -- --onednn "$onednn" "$@"
else
  echo "bench-peer: $source does not compile with this oneDNN; left out" >&2
fi
# What torch.compile makes is kept with the rest.
export TORCHINDUCTOR_CACHE_DIR="$PWD/$environment/inductor"
exec "$environment/bin/python" Scripts/peer/compare.py .build/release/spqat "$@"
