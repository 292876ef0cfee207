#!/usr/bin/env python3
"""Turns a PyTorch checkpoint into a safetensors file that `spqat weights import` takes.

    torch_to_safetensors.py CHECKPOINT.pth OUT.safetensors

The checkpoint is a state dictionary, or a dictionary that holds one under "state_dict" or "model"; the prefix "module." of
data-parallel training is taken off. Names, shapes and types stay as they are. The checkpoint's name and SHA-256 go into
the metadata, by which published weights are recognised. Needs torch and safetensors; nothing else of this project does.
"""

import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file


def state_dictionary(checkpoint):
    for key in ("state_dict", "model"):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
    if not isinstance(checkpoint, dict) or not all(isinstance(value, torch.Tensor) for value in checkpoint.values()):
        raise ValueError("holds no state dictionary: save model.state_dict()")
    return {name.removeprefix("module."): value.contiguous().clone() for name, value in checkpoint.items()}


def main():
    if len(sys.argv) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    source, target = map(Path, sys.argv[1:])
    try:
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        # Weights only: unpickling anything else would run the checkpoint's code.
        tensors = state_dictionary(torch.load(source, map_location="cpu", weights_only=True))
    except Exception as error:
        print(f"{source}: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    save_file(tensors, target, {"format": "pt", "source": source.name, "source_sha256": digest})
    print(f"{target}: {len(tensors)} tensors of {source.name} (SHA-256 {digest[:12]}…)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
