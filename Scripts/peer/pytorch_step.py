#!/usr/bin/env python3
"""Times a training step of ResNet-20 on CIFAR-sized random batches, or of ResNet-18 or MobileNetV2 on those of ImageNet's
size, in PyTorch on the CPU, the way a user would otherwise run it, and prints one JSON line.

    pip install -r Scripts/peer/requirements.txt
    pytorch_step.py --recipe spqat --mode freeze --bits 2 --frozen-share 0.6

Modes: fullPrecision (no quantizers), fullQAT, and freeze. `freeze` holds a random share of the weights of every layer
that freezes and, like the published code, computes the whole backward pass, updates every weight's distance, and masks
afterwards; its bookkeeping runs in full, but its threshold lets no further weight freeze, so the share stays put.

The same step runs eagerly or, with --compile, its forward and backward passes as torch.compile makes them (the quantizers
and the bookkeeping in them; optimizers stay as they are), and with --channels-last in that memory format. Compiling needs
a C++ compiler; where that fails, one line says so and the exit status is 3.
"""

import argparse
import json
import math
import resource
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class RoundStraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.round()

    @staticmethod
    def backward(context, gradient):
        return gradient


class FreezingState:
    """Levels, distances and mask of one layer's weights."""

    def __init__(self, weight, share, spacing):
        self.weight, self.spacing = weight, spacing
        self.frozen = torch.rand_like(weight) < share
        self.held = weight.detach().clone()
        self.distance = torch.zeros_like(weight)
        self.level = torch.zeros_like(weight)

    @torch.no_grad()
    def record(self, v, level, ema=0.99, threshold=-1.0):
        averaged = torch.lerp((v - level).abs(), self.distance, ema)
        self.distance = averaged.masked_fill_(level != self.level, self.spacing)
        self.level = level
        self.frozen |= self.distance <= threshold * self.spacing

    @torch.no_grad()
    def restore(self):
        """Drops the optimizer's update of the frozen weights."""
        self.held = torch.where(self.frozen, self.held, self.weight)
        self.weight.copy_(self.held)


class Quantizers(nn.Module):
    """Weight and activation quantizers of one layer in either recipe, and its freezing state."""

    def __init__(self, weight, options, first=False, last=False):
        super().__init__()
        self.learned_range = options.recipe == "lts"
        edge = not self.learned_range and (first or last)
        self.bits = 8 if edge else options.bits
        self.quantizes_input = self.learned_range or not first
        self.rescales = last and not self.learned_range
        range_start = 3 * weight.detach().std()
        if self.learned_range:
            self.weight_range = nn.ParameterList([-range_start, range_start.clone()])
            self.input_range = nn.ParameterList([torch.tensor(-2.0 if first else 0.0), torch.tensor(3.0)])
            spacing = 1 / (2**self.bits - 1)
        else:
            self.weight_scale = nn.Parameter(range_start, requires_grad=last)
            if self.quantizes_input:
                self.input_scale = nn.Parameter(torch.tensor(3.0))
            spacing = 2 / 2**self.bits
        freezes = options.mode == "freeze" and not self.rescales
        self.freezing = FreezingState(weight, options.frozen_share, spacing) if freezes else None

    def in_range(self, x, low, high):
        v, steps = (x - low) / (high - low), 2**self.bits - 1
        return v, RoundStraightThrough.apply(v.clamp(0, 1) * steps) / steps

    def forward(self, x, weight):
        """The quantized input and weight."""
        if self.learned_range:
            v, level = self.in_range(weight, *self.weight_range)
            quantized = 2 * level - 1
            x = self.in_range(x, *self.input_range)[1]
        else:
            half = 2 ** (self.bits - 1)
            v = weight / (self.weight_scale.abs() + 1e-6)
            level = RoundStraightThrough.apply((v * half).clamp(-half, half - 1)) / half
            quantized = level * self.weight_scale if self.rescales else level
            if self.quantizes_input:
                levels = 2**self.bits
                x = (x * (levels / (self.input_scale.abs() + 1e-6))).clamp(0, levels - 1)
                x = RoundStraightThrough.apply(x) / levels
        if self.freezing:
            self.freezing.record(v.detach(), level.detach())
        return x, quantized


def keeps_edges(options):
    """Whether the first and the last layer stay in full precision."""
    return options.recipe == "spqat" and options.model != "resnet20"


class Convolution(nn.Conv2d):
    def __init__(self, inputs, outputs, kernel, options, stride=1, first=False, groups=1):
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.to(memory_format=options.memory_format)  # before the freezing state takes the weight's format
        quantized = options.mode != "fullPrecision" and not (first and keeps_edges(options))
        self.quantizers = Quantizers(self.weight, options, first=first) if quantized else None

    def forward(self, x):
        weight = self.weight
        if self.quantizers:
            x, weight = self.quantizers(x, weight)
        return F.conv2d(x, weight, None, self.stride, self.padding, groups=self.groups)


class Linear(nn.Linear):
    def __init__(self, inputs, outputs, options):
        super().__init__(inputs, outputs)
        quantized = options.mode != "fullPrecision" and not keeps_edges(options)
        self.quantizers = Quantizers(self.weight, options, last=True) if quantized else None

    def forward(self, x):
        weight = self.weight
        if self.quantizers:
            x, weight = self.quantizers(x, weight)
        return F.linear(x, weight, self.bias)


class PadShortcut(nn.Module):
    """Every second pixel, zero channels in equal numbers on both sides."""

    def __init__(self, added):
        super().__init__()
        self.side = added // 2

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.side, self.side))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, options):
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.residual = nn.Sequential(
            Convolution(inputs, outputs, 3, options, stride), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            Convolution(outputs, outputs, 3, options), nn.BatchNorm2d(outputs))
        if inputs == outputs:
            self.shortcut = nn.Identity()
        elif options.recipe == "lts" or options.model != "resnet20":
            self.shortcut = nn.Sequential(
                Convolution(inputs, outputs, 1, options, stride), nn.BatchNorm2d(outputs))
        else:
            self.shortcut = PadShortcut(outputs - inputs)

    def forward(self, x):
        return F.relu(self.residual(x) + self.shortcut(x), inplace=True)


def resnet20(options, classes=10):
    layers = [Convolution(3, 16, 3, options, first=True), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    channels = [16] * 4 + [32] * 3 + [64] * 3
    layers += [BasicBlock(inputs, outputs, options) for inputs, outputs in zip(channels, channels[1:])]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if options.recipe == "spqat":
        layers.append(nn.BatchNorm1d(64))
    return nn.Sequential(*layers, Linear(64, classes, options))


def resnet18(options, classes=1000):
    layers = [Convolution(3, 64, 7, options, 2, first=True), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
              nn.MaxPool2d(3, 2, 1)]
    channels = [64] * 3 + [128] * 2 + [256] * 2 + [512] * 2
    layers += [BasicBlock(inputs, outputs, options) for inputs, outputs in zip(channels, channels[1:])]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if options.recipe == "spqat":
        layers.append(nn.BatchNorm1d(512))
    return nn.Sequential(*layers, Linear(512, classes, options))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, expansion, stride, options, activation):
        super().__init__()
        hidden = inputs * expansion
        layers = []
        if expansion > 1:
            layers += [Convolution(inputs, hidden, 1, options), nn.BatchNorm2d(hidden), activation(inplace=True)]
        layers += [Convolution(hidden, hidden, 3, options, stride, groups=hidden), nn.BatchNorm2d(hidden),
                   activation(inplace=True), Convolution(hidden, outputs, 1, options), nn.BatchNorm2d(outputs)]
        self.layers, self.adds = nn.Sequential(*layers), stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.adds else self.layers(x)


def mobilenetv2(options, classes=1000):
    activation = nn.ReLU6 if options.recipe == "spqat" else nn.ReLU
    layers = [Convolution(3, 32, 3, options, 2, first=True), nn.BatchNorm2d(32), activation(inplace=True)]
    inputs = 32
    for expansion, outputs, blocks, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                               (6, 160, 3, 2), (6, 320, 1, 1)]:
        for block in range(blocks):
            layers.append(
                InvertedResidual(inputs, outputs, expansion, stride if block == 0 else 1, options, activation))
            inputs = outputs
    layers += [Convolution(inputs, 1280, 1, options), nn.BatchNorm2d(1280), activation(inplace=True)]
    if options.recipe == "spqat":
        layers.append(nn.BatchNorm2d(1280))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if options.recipe == "spqat":
        layers.append(nn.Dropout(0.2))
    return nn.Sequential(*layers, Linear(1280, classes, options))


# The network, the side of its images in pixels, its classes and the images of a batch.
MODELS = {"resnet20": (resnet20, 32, 10, 128), "resnet18": (resnet18, 224, 1000, 32),
          "mobilenetv2": (mobilenetv2, 224, 1000, 32)}


def make_optimizers(model, recipe):
    ranges, norms, others = [], [], []
    for module in model.modules():
        own = [parameter for parameter in module.parameters(recurse=False) if parameter.requires_grad]
        if isinstance(module, (Quantizers, nn.ParameterList)):
            ranges += own
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            norms += own
        else:
            others += own
    decayed = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
    if recipe == "lts":
        optimizers = [torch.optim.SGD(others + norms, **decayed)]
        return optimizers + ([torch.optim.Adam(ranges, lr=1e-4)] if ranges else [])
    optimizers = [torch.optim.SGD([{"params": others, **decayed}, {"params": norms}], lr=0.1)]
    return optimizers + ([torch.optim.SGD(ranges, lr=0.01)] if ranges else [])


def train_step(model, optimizers, frozen, images, labels):
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    for state in frozen:
        state.restore()
    return loss.detach()


def first_line(problem):
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def peak_mebibytes():
    """Peak resident memory; the system counts in KiB on Linux, in bytes on macOS."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10)


def share(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return value


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="spqat", choices=("spqat", "lts"))
    parser.add_argument("--mode", default="fullQAT", choices=("fullPrecision", "fullQAT", "freeze"))
    parser.add_argument("--bits", type=int, default=2, choices=range(2, 9), metavar="2...8")
    parser.add_argument("--model", default="resnet20", choices=MODELS)
    parser.add_argument("--size", type=positive, help="side of an image in pixels; 32, or 224 for ImageNet's networks")
    parser.add_argument("--batch", type=positive, help="images; 128, or 32 for ImageNet's networks")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--frozen-share", type=share, default=0.6, help="of every layer that freezes; mode freeze only")
    parser.add_argument("--steps", type=positive, default=12, help="timed, after the untimed ones")
    parser.add_argument("--warm-up", type=positive, default=3, help="untimed steps")
    parser.add_argument("--channels-last", action="store_true", help="in channels-last memory format")
    parser.add_argument("--compile", action="store_true", help="by torch.compile")
    options = parser.parse_args()
    options.memory_format = torch.channels_last if options.channels_last else torch.contiguous_format

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    network, side, classes, batch = MODELS[options.model]
    side, options.batch = options.size or side, options.batch or batch
    model = network(options, classes)
    optimizers = make_optimizers(model, options.recipe)
    frozen = [m.freezing for m in model.modules() if isinstance(m, Quantizers) and m.freezing]
    batches = [(torch.randn(options.batch, 3, side, side).contiguous(memory_format=options.memory_format),
                torch.randint(0, classes, (options.batch,))) for _ in range(4)]
    if options.compile:
        model = torch.compile(model, fullgraph=True)

    def step(number):
        return train_step(model, optimizers, frozen, *batches[number % len(batches)])

    try:
        for number in range(options.warm_up):
            loss = step(number)
    except Exception as problem:  # torch.compile's are of many classes, some of them private
        if not options.compile:
            raise
        print(f"torch.compile failed: {first_line(problem)}", file=sys.stderr)
        sys.exit(3)
    timed = []
    for number in range(options.steps):
        start = time.perf_counter()
        loss = step(options.warm_up + number)
        timed.append(1e3 * (time.perf_counter() - start))
    if not math.isfinite(loss.item()):
        sys.exit("the loss is not finite: nothing to compare with")
    lower, median, upper = statistics.quantiles(timed, n=4, method="inclusive") if len(timed) > 1 else timed * 3
    print(json.dumps({
        "peer": "PyTorch", "model": options.model, "size": side, "torchVersion": torch.__version__,
        "recipe": options.recipe, "mode": options.mode, "bits": options.bits, "batch": options.batch,
        "threads": options.threads, "compiled": options.compile, "channelsLast": options.channels_last,
        "frozenShare": options.frozen_share if options.mode == "freeze" else 0.0, "steps": options.steps,
        "stepMilliseconds": round(median, 2), "minimumMilliseconds": round(min(timed), 2),
        "lowerQuartileMilliseconds": round(lower, 2),
        "upperQuartileMilliseconds": round(upper, 2), "imagesPerSecond": round(1e3 * options.batch / median, 1),
        "peakMebibytes": peak_mebibytes(),
    }))


if __name__ == "__main__":
    main()
