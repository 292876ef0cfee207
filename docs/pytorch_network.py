#!/usr/bin/env python3
"""Loads what `spqat export RUN --format safetensors` wrote (of a ResNet for small images) into a plain PyTorch module and
evaluates it on a tree of images: pytorch_network.py RUN.safetensors TREE/test LOGITS.npy (needs torch, safetensors, Pillow)."""
import json
import sys
from pathlib import Path
import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from torch.nn import Module, functional as F
class Network(Module):
    def __init__(self, path):
        super().__init__()
        with safe_open(path, "pt") as file:
            self.settings = json.loads(file.metadata()["configuration"])
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}

    def layer(self, name, x, stride=1, end=False):  # convolution or linear; x and the weights lie on levels where the run's do
        part = {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(name + ".")}
        fixed = self.settings.get("quantization.recipe") == "spqat"
        bits, n = (8 if fixed and end else self.settings.get(f"quantization.{kind}Bits", 0) for kind in ("weight", "activation"))
        n = 2**n - 1
        if "sA" in part or "uA" in part:  # a learned scale (recipe spqat), a learned range (lts)
            low, width = (0, part["sA"].abs() + 1e-6) if fixed else (part["lA"], part["uA"] - part["lA"])
            x = ((x - low) * ((n + fixed) / width)).clamp(0, n).round() / (n + fixed)
        weight = part["level"].float() / (2 ** (bits - 1) if fixed else 2**bits - 1) if "level" in part else part["weight"]
        if weight.dim() == 2:
            return F.linear(x, weight * part["sW"] if fixed else weight, part["bias"])
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def norm(self, name, x):
        return F.batch_norm(x, *(self.tensors[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")))

    def forward(self, x):
        x = F.relu(self.norm("bn1", self.layer("conv1", x, end=True)))
        for name in sorted({".".join(key.split(".")[:2]) for key in self.tensors if key.startswith("layer")}):
            stride = 2 if name in ("layer2.0", "layer3.0") else 1
            y = F.relu(self.norm(f"{name}.bn1", self.layer(f"{name}.conv1", x, stride)))
            y = self.norm(f"{name}.bn2", self.layer(f"{name}.conv2", y))
            if f"{name}.shortcut.0.weight" in self.tensors:
                x = self.norm(f"{name}.shortcut.1", self.layer(f"{name}.shortcut.0", x, stride))
            elif stride == 2:  # every second pixel, zero channels on both sides
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0) + ((y.shape[1] - x.shape[1]) // 2,) * 2)
            x = F.relu(x + y)
        x = x.mean((2, 3))
        if "bn2.weight" in self.tensors:  # recipe spqat, which has another name for its classifier too
            return self.layer("linear", self.norm("bn2", x), end=True)
        return self.layer("fc", x, end=True)

network, files = Network(sys.argv[1]), sorted(Path(sys.argv[2]).glob("*/*.png"))
classes = sorted({file.parent.name for file in files})
pixels = torch.stack([torch.from_numpy(np.array(Image.open(file).convert("RGB"))) for file in files])
mean, deviation = (torch.tensor(network.settings[f"data.{key}"]) for key in ("mean", "standardDeviation"))
with torch.inference_mode():
    logits = network(((pixels / 255 - mean) / deviation).permute(0, 3, 1, 2))
correct = [classes[best] == file.parent.name for best, file in zip(logits.argmax(1), files)]
print(f"top-1 {100 * sum(correct) / len(files):.2f}% of {len(files)} images")
np.save(sys.argv[3], logits.numpy())
