#!/usr/bin/env bash
# A virtual environment with the Python libraries that tests read results with. Where it cannot be made, the tests that
# need it are skipped and say so.
set -u
cd "$(dirname "$0")/.."
environment=.venv-test
packages="h5py pandas matplotlib tables safetensors numpy pillow==11.3.0 jsonschema"
[ "$(cat "$environment/complete" 2>/dev/null)" = "$packages" ] && exit 0
command -v python3 >/dev/null 2>&1 || { echo "test-python: no python3; tests with h5py, pandas, Pillow and jsonschema will be skipped"; exit 0; }
echo "test-python: making $environment with $packages"
rm -rf "$environment"
if python3 -m venv "$environment" >/dev/null 2>&1 \
  && "$environment/bin/pip" install --quiet --disable-pip-version-check $packages >/dev/null 2>&1; then
  echo "$packages" >"$environment/complete"
else
  rm -rf "$environment"
  echo "test-python: could not make it (no venv module or no package index); tests with h5py, pandas, Pillow and jsonschema will be skipped"
fi
