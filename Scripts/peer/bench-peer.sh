#!/usr/bin/env bash
# The training step beside PyTorch's, in turn. PyTorch comes from a virtual environment of its own:
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
exec "$environment/bin/python" Scripts/peer/compare.py .build/release/spqat "$@"
