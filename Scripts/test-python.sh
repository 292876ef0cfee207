#!/usr/bin/env bash
# A virtual environment with the Python libraries that tests read results with. Where it cannot be made, the tests that
# need it are skipped and say so. TORCH_REQUIREMENT: what to install for the tests beside PyTorch.
set -u
cd "$(dirname "$0")/.."
environment=.venv-test
packages="h5py pandas matplotlib tables safetensors numpy pillow==11.3.0 jsonschema"
# Each of these alone: tests that need one are skipped where it cannot be installed. Without "+cpu" PyTorch brings gigabytes.
extras=("onnx onnxruntime" "tensorboard" "${TORCH_REQUIREMENT:-torch==2.13.0+cpu torchvision==0.28.0}")
requested="$packages ${extras[*]}"
[ "$(cat "$environment/complete" 2>/dev/null)" = "$requested" ] && exit 0
command -v python3 >/dev/null 2>&1 || { echo "test-python: no python3; tests with h5py, pandas, Pillow and jsonschema will be skipped"; exit 0; }
echo "test-python: making $environment with $requested"
rm -rf "$environment"
if python3 -m venv "$environment" >/dev/null 2>&1 \
  && "$environment/bin/pip" install --quiet --disable-pip-version-check $packages >/dev/null 2>&1; then
  for extra in "${extras[@]}"; do
    "$environment/bin/pip" install --quiet --disable-pip-version-check $extra >/dev/null 2>&1 \
      || echo "test-python: could not install $extra; tests with it will be skipped"
  done
  echo "$requested" >"$environment/complete"
else
  rm -rf "$environment"
  echo "test-python: could not make it (no venv module or no package index); tests with h5py, pandas, Pillow and jsonschema will be skipped"
fi
