#!/usr/bin/env python3
"""Short training runs of small quantized networks in float64, written as reference traces for `spqat replay`.

    pip install "torch==2.13.0" numpy h5py
    make_traces.py                    write every case into traces/ beside this script
    make_traces.py NAME ...           write these cases only
    make_traces.py --check TRACE ...  replay existing traces in float64 and print the largest deviations
    make_traces.py --search NAME ...  print which seeds keep a case's claims with every step clean

The method is implemented here a second time, in PyTorch with automatic differentiation, so that neither this file nor
the Swift package can be wrong alone. README.md beside it says what each case covers; the format is
"qat-reference-trace" version 1 with the optional attribute `width`, the channels of the first stage.
"""

import argparse
import itertools
import math
import os
import sys
from dataclasses import dataclass, field, replace

import h5py
import numpy as np
import torch
import torch.nn.functional as F

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "traces")
CLEAN = 1e-3  # a step is clean while every float32 variant's loss stays within this of float64's
HALF_NORMAL = math.sqrt(1 - 2 / math.pi)  # standard deviation of |x|, x standard normal


@dataclass
class Settings:
    """What a trace's attributes say."""

    recipe: str  # fixed-scale (`spqat`) or learned-range (`lts`)
    method: str  # fullqat or freeze
    bits: int
    model: str = "resnet8"
    width: int = 4
    threshold_schedule: str = "linear"
    threshold: float = 0.1
    freeze_start_epoch: int = 1
    epochs: int = 4
    batches_per_epoch: int = 2
    distance_ema: float = 0.0
    lr_model: float = 0.02
    lr_quant: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    num_classes: int = 10

    @property
    def is_learned_range(self):
        return self.recipe == "learned-range"

    @property
    def freezes(self):
        return self.method == "freeze"

    @property
    def is_mobile(self):
        return self.model == "mobilenetv2s"

    @property
    def first_layer(self):
        return "features.0.0" if self.is_mobile else "conv1"

    @property
    def last_layer(self):
        if self.is_mobile:
            return "classifier.1"
        return "fc" if self.is_learned_range else "linear"

    @property
    def quantizer_columns(self):
        if self.is_learned_range:
            return ["upper_weight", "lower_weight", "upper_activation", "lower_activation"]
        return ["weight_scale", "activation_scale"]

    @property
    def total_steps(self):
        return self.epochs * self.batches_per_epoch

    @property
    def start_step(self):
        return self.freeze_start_epoch * self.batches_per_epoch

    def threshold_at(self, time):
        """λ at step t, or None during the warm-up."""
        if time <= self.start_step:
            return None
        progress = (time - self.start_step) / (self.total_steps - self.start_step)
        return {
            "fixed": self.threshold,
            "linear": progress,
            "sine": math.sin(math.pi / 2 * progress),
        }[self.threshold_schedule]


# MARK: Arithmetic variants


@dataclass(frozen=True)
class Arithmetic:
    """How the same sums are computed: float64 is the reference, float32 in several orders its fair tolerance."""

    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    unfold: bool = False  # convolution as a matrix product over patches
    split: bool = False  # convolution as the sum of two halves of the input channels
    batch_norm: str = "library"  # or two-pass, or one-pass (mean of squares)

    def convolution(self, x, weight, stride):
        padding = weight.shape[2] // 2
        groups = x.shape[1] // weight.shape[1]
        if groups > 1:
            return self.depthwise(x, weight, stride, padding)
        if self.unfold:
            columns = F.unfold(x, weight.shape[2:], padding=padding, stride=stride)
            y = weight.flatten(1) @ columns
            return y.unflatten(2, ((x.shape[2] - 1) // stride + 1, -1))
        if self.split and x.shape[1] > 1:
            half = x.shape[1] // 2
            parts = ((x[:, :half], weight[:, :half]), (x[:, half:], weight[:, half:]))
            first, second = (F.conv2d(a, b, stride=stride, padding=padding) for a, b in parts)
            return second + first
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
            weight = weight.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, stride=stride, padding=padding)

    def depthwise(self, x, weight, stride, padding):
        """One input channel for each output channel."""
        if self.unfold:
            columns = F.unfold(x, weight.shape[2:], padding=padding, stride=stride).unflatten(1, (x.shape[1], -1))
            y = (weight.flatten(1)[None, :, :, None] * columns).sum(2)
            return y.unflatten(2, ((x.shape[2] - 1) // stride + 1, -1))
        if self.split:
            # The windows' rows one by one.
            rows = [torch.zeros_like(weight) for _ in range(weight.shape[2])]
            for row, part in enumerate(rows):
                part[:, :, row] = weight[:, :, row]
            parts = [F.conv2d(x, part, stride=stride, padding=padding, groups=x.shape[1]) for part in rows]
            return sum(reversed(parts))
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])

    def normalize(self, x, state, name, training):
        gamma, beta = state[name + ".weight"], state[name + ".bias"]
        mean, variance = state[name + ".running_mean"], state[name + ".running_var"]
        if self.batch_norm == "library" or not training:
            return F.batch_norm(x, mean, variance, gamma, beta, training, momentum=0.1, eps=1e-5)
        axes = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        batch_mean = x.mean(axes)
        if self.batch_norm == "two-pass":
            batch_variance = (x - batch_mean.view(shape)).square().mean(axes)
        else:
            batch_variance = x.square().mean(axes) - batch_mean.square()
        count = x.numel() / x.shape[1]
        with torch.no_grad():
            mean.lerp_(batch_mean, 0.1)
            variance.lerp_(batch_variance * count / (count - 1), 0.1)
        scale = gamma * torch.rsqrt(batch_variance + 1e-5)
        return x * scale.view(shape) + (beta - batch_mean * scale).view(shape)


REFERENCE = Arithmetic(torch.float64)
FLOAT32_VARIANTS = [
    Arithmetic(),
    Arithmetic(channels_last=True),
    Arithmetic(unfold=True),
    Arithmetic(split=True),
    Arithmetic(batch_norm="two-pass"),
    Arithmetic(unfold=True, batch_norm="one-pass"),
]


# MARK: Quantization


class Round(torch.autograd.Function):
    """Half to even; the gradient passes straight through."""

    @staticmethod
    def forward(context, x):
        return torch.round(x)

    @staticmethod
    def backward(context, gradient):
        return gradient


def clamp(x, low, high):
    """The gradient passes where low ≤ x ≤ high."""
    return torch.clamp(x, low, high)


class FullPrecision:
    """Both ends of MobileNetV2 in recipe `spqat`."""

    freezes = False
    learned = {}
    values = [math.nan, math.nan]

    def initialize(self, x):
        pass

    def quantize_activation(self, x):
        return x

    def quantize_weight(self, w):
        return w, None, None


class FixedScale:
    """Recipe `spqat`: weights over a fixed 3·std, activations over a learned scale."""

    def __init__(self, name, settings, weight):
        is_first, self.is_last = name == settings.first_layer, name == settings.last_layer
        self.weight_bits = 8 if is_first or self.is_last else settings.bits
        self.activation_bits = None if is_first else 8 if self.is_last else settings.bits
        self.freezes = settings.freezes and not self.is_last
        self.spacing = 2 / 2**self.weight_bits
        self.scale = (3 * weight.detach().std()).requires_grad_(self.is_last)
        self.activation_scale = None

    def initialize(self, x):
        if self.activation_bits and self.activation_scale is None:
            self.activation_scale = (3 * x.detach().std() / HALF_NORMAL).requires_grad_()

    @property
    def learned(self):
        scales = {"sA": self.activation_scale} if self.activation_bits else {}
        return scales | ({"sW": self.scale} if self.is_last else {})

    @property
    def values(self):
        return [self.scale, math.nan if self.activation_scale is None else self.activation_scale]

    def quantize_activation(self, x):
        if not self.activation_bits:
            return x
        levels = 2**self.activation_bits
        scaled = x / (self.activation_scale.abs() + 1e-6) * levels
        return Round.apply(clamp(scaled, 0, levels - 1)) / levels

    def quantize_weight(self, w):
        """The weight to compute with, v, and the level."""
        half = 2 ** (self.weight_bits - 1)
        v = w / (self.scale.abs() + 1e-6)
        level = Round.apply(clamp(v * half, -half, half - 1)) / half
        return level * self.scale if self.is_last else level, v, level


class LearnedRange:
    """Recipe `lts`: weights and activations over learned ranges, all layers alike."""

    def __init__(self, name, settings, weight):
        self.levels = 2**settings.bits - 1
        self.freezes = settings.freezes
        self.spacing = 1 / self.levels
        deviation = 3 * weight.detach().std()
        self.upper, self.lower = deviation.clone().requires_grad_(), (-deviation).requires_grad_()
        self.activation_upper = self.activation_lower = None

    def initialize(self, x):
        if self.activation_upper is None:
            self.activation_upper = (3 * x.detach().std() / HALF_NORMAL).requires_grad_()
            self.activation_lower = x.detach().min().clone().requires_grad_()

    @property
    def learned(self):
        return {"uW": self.upper, "lW": self.lower, "uA": self.activation_upper, "lA": self.activation_lower}

    @property
    def values(self):
        return list(self.learned.values())

    def quantize(self, x, lower, upper):
        v = (x - lower) / (upper - lower)
        return v, Round.apply(clamp(v, 0, 1) * self.levels) / self.levels

    def quantize_activation(self, x):
        return self.quantize(x, self.activation_lower, self.activation_upper)[1]

    def quantize_weight(self, w):
        v, level = self.quantize(w, self.lower, self.upper)
        return 2 * level - 1, v, level


# MARK: Freezing


@dataclass
class Events:
    """What happened to single weights, for the claims that the cases make."""

    resets_that_prevented_freezing: int = 0
    frozen_level_moves: int = 0
    level_zero_frozen_in_first_step: int = 0


class Freezing:
    """D̄, the previous level and the mask of one layer."""

    def __init__(self, weight, settings, spacing, events):
        self.settings, self.spacing, self.events = settings, spacing, events
        self.distance, self.previous = torch.zeros_like(weight), torch.zeros_like(weight)
        self.frozen = torch.zeros_like(weight, dtype=torch.bool)

    @torch.no_grad()
    def advance(self, v, level, forward):
        """After the `forward`-th training forward, 1-based."""
        m, learned = self.settings.distance_ema, self.settings.is_learned_range
        threshold = self.settings.threshold_at(forward - 1 if learned else forward)
        distance = (v - level).abs()
        moved = level != self.previous
        if learned and forward <= 2:
            # The published counter starts at -1: first the levels alone, then D without averaging or reset.
            averaged = self.distance if forward == 1 else distance
            moved_now = torch.zeros_like(moved)
        else:
            averaged = m * self.distance + (1 - m) * distance
            moved_now = moved
        if forward > 1:
            self.events.frozen_level_moves += int((moved & self.frozen).sum())
        self.distance = torch.where(moved_now, self.spacing, averaged)
        if threshold is not None:
            limit = threshold * self.spacing
            freezing = (self.distance <= limit) & ~self.frozen
            prevented = moved_now & (averaged <= limit) & ~freezing & ~self.frozen
            if forward > 1:
                self.events.resets_that_prevented_freezing += int(prevented.sum())
            else:
                self.events.level_zero_frozen_in_first_step += int((freezing & (level == 0)).sum())
            self.frozen = self.frozen | freezing
        self.previous = level.clone()


# MARK: The network


def blocks_of(settings):
    """(name, input channels, output channels, stride) of the basic blocks of resnet(6n + 2)."""
    count, channels = (int(settings.model.removeprefix("resnet")) - 2) // 6, settings.width
    for stage, block in itertools.product(range(3), range(count)):
        output = settings.width * 2**stage
        yield f"layer{stage + 1}.{block}", channels, output, 2 if stage and not block else 1
        channels = output


# MobileNetV2's rows (expansion, channels at a width of 32, blocks, stride of the first) and its features.
ROWS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 2, 2)]
FEATURES = 128


def inverted_residuals(settings):
    """(name, expansion, input channels, output channels, stride) of MobileNetV2's blocks."""
    inputs, index = settings.width, 1
    for expansion, channels, blocks, stride in ROWS:
        for block in range(blocks):
            outputs = channels * settings.width // 32
            yield f"features.{index}.conv", expansion, inputs, outputs, stride if block == 0 else 1
            inputs, index = outputs, index + 1


def last_convolution(settings):
    return f"features.{sum(blocks for _, _, blocks, _ in ROWS) + 1}.0"


def mobile_weight_shapes(settings):
    shapes = {settings.first_layer: (settings.width, 3, 3, 3)}
    for name, expansion, inputs, outputs, _ in inverted_residuals(settings):
        inside, place = expansion * inputs, 0
        if expansion > 1:
            shapes[f"{name}.0.0"], place = (inside, inputs, 1, 1), 1
        shapes[f"{name}.{place}.0"] = (inside, 1, 3, 3)
        shapes[f"{name}.{place + 1}"] = (outputs, inside, 1, 1)
    shapes[last_convolution(settings)] = (feature_channels(settings), outputs, 1, 1)
    shapes[settings.last_layer] = (settings.num_classes, feature_channels(settings))
    return shapes


def feature_channels(settings):
    """Channels that the linear layer reads."""
    return FEATURES * settings.width // 32 if settings.is_mobile else 4 * settings.width


def norm_of(convolution):
    """The batch norm behind a convolution."""
    if "conv" in convolution.rsplit(".", 1)[-1]:
        return convolution.replace("conv", "bn")
    module, place = convolution.rsplit(".", 1)
    return f"{module}.{int(place) + 1}"


def weight_shapes(settings):
    """Shapes of every convolution and linear weight in execution order, which is the order of `layers`."""
    if settings.is_mobile:
        return mobile_weight_shapes(settings)
    shapes = {"conv1": (settings.width, 3, 3, 3)}
    for name, inputs, outputs, _ in blocks_of(settings):
        shapes[name + ".conv1"] = (outputs, inputs, 3, 3)
        shapes[name + ".conv2"] = (outputs, outputs, 3, 3)
        if settings.is_learned_range and inputs != outputs:
            shapes[name + ".shortcut.0"] = (outputs, inputs, 1, 1)
    shapes[settings.last_layer] = (settings.num_classes, 4 * settings.width)
    return shapes


class Network:
    def __init__(self, settings, initial, arithmetic):
        self.settings, self.arithmetic, self.events = settings, arithmetic, Events()
        self.state = {name: torch.tensor(value, dtype=arithmetic.dtype) for name, value in initial.items()}
        self.layers = list(weight_shapes(settings))
        norms = [name.removesuffix(".running_mean") for name in initial if name.endswith(".running_mean")]
        norm_parameters = {f"{name}.{part}" for name in norms for part in ("weight", "bias")}
        self.parameters = {
            name: value.requires_grad_()
            for name, value in self.state.items()
            if name.endswith((".weight", ".bias"))
        }
        self.norm_parameters = [self.parameters[name] for name in self.parameters if name in norm_parameters]
        self.other_parameters = [self.parameters[name] for name in self.parameters if name not in norm_parameters]
        ends = {settings.first_layer, settings.last_layer} if settings.is_mobile else set()
        self.quantizers, self.freezing = {}, {}
        for name in self.layers:
            weight = self.parameters[name + ".weight"]
            if settings.is_learned_range:
                quantizer = LearnedRange(name, settings, weight)
            else:
                quantizer = FullPrecision() if name in ends else FixedScale(name, settings, weight)
            self.quantizers[name] = quantizer
            if quantizer.freezes:
                self.freezing[name] = Freezing(weight.detach(), settings, quantizer.spacing, self.events)

    def layer(self, name, x, stride=1):
        quantizer = self.quantizers[name]
        if self.initializes:
            quantizer.initialize(x)
        weight, v, level = quantizer.quantize_weight(self.parameters[name + ".weight"])
        if self.forward_number and name in self.freezing:
            self.freezing[name].advance(v.detach(), level.detach(), self.forward_number)
        x = quantizer.quantize_activation(x)
        if weight.ndim == 4:
            return self.arithmetic.convolution(x, weight, stride)
        return x @ weight.t() + self.parameters[name + ".bias"]

    def normalize(self, name, x):
        return self.arithmetic.normalize(x, self.state, name, self.training)

    def shortcut(self, name, x, outputs, stride):
        inputs = x.shape[1]
        if inputs == outputs:
            return x
        if self.settings.is_learned_range:
            return self.normalize(name + ".shortcut.1", self.layer(name + ".shortcut.0", x, stride))
        side = (outputs - inputs) // 2
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, side, side))

    def logits(self, images, training, initializes=False, forward_number=None):
        """`forward_number` counts training forwards from 1; without it no freezing state is touched."""
        self.training, self.initializes, self.forward_number = training, initializes, forward_number
        x = images.to(self.arithmetic.dtype)
        if self.settings.is_mobile:
            return self.mobile_logits(x)
        x = F.relu(self.normalize("bn1", self.layer("conv1", x)))
        for name, _, outputs, stride in blocks_of(self.settings):
            y = F.relu(self.normalize(name + ".bn1", self.layer(name + ".conv1", x, stride)))
            y = self.normalize(name + ".bn2", self.layer(name + ".conv2", y))
            x = F.relu(y + self.shortcut(name, x, outputs, stride))
        x = x.mean((2, 3))
        if not self.settings.is_learned_range:
            x = self.normalize("bn2", x)
        return self.layer(self.settings.last_layer, x)

    def mobile_logits(self, x):
        """MobileNetV2 without dropout, whose random numbers no two programs share."""
        rectify = F.relu if self.settings.is_learned_range else F.relu6

        def block(name, x, stride=1):
            return rectify(self.normalize(norm_of(name), self.layer(name, x, stride)))

        x = block(self.settings.first_layer, x)
        for name, expansion, inputs, outputs, stride in inverted_residuals(self.settings):
            y, place = (block(f"{name}.0.0", x), 1) if expansion > 1 else (x, 0)
            y = block(f"{name}.{place}.0", y, stride)
            y = self.normalize(f"{name}.{place + 2}", self.layer(f"{name}.{place + 1}", y))
            x = x + y if stride == 1 and inputs == outputs else y
        x = block(last_convolution(self.settings), x)
        if not self.settings.is_learned_range:
            x = self.normalize("bn2", x)
        return self.layer(self.settings.last_layer, x.mean((2, 3)))

    @property
    def quantizer_values(self):
        return np.array([[float(torch.as_tensor(x).detach()) for x in self.quantizers[n].values] for n in self.layers])

    @property
    def frozen_counts(self):
        return [int(self.freezing[n].frozen.sum()) if n in self.freezing else 0 for n in self.layers]

    def optimizers(self):
        s = self.settings
        ranges = [value for name in self.layers for value in self.quantizers[name].learned.values()]
        decayed = {"lr": s.lr_model, "momentum": s.momentum, "weight_decay": s.weight_decay}
        if s.is_learned_range:
            return [
                torch.optim.SGD(self.other_parameters + self.norm_parameters, **decayed),
                torch.optim.Adam(ranges, lr=s.lr_quant, eps=1e-8),
            ]
        groups = [{"params": self.other_parameters, **decayed}, {"params": self.norm_parameters}]
        return [torch.optim.SGD(groups, lr=s.lr_model), torch.optim.SGD(ranges, lr=s.lr_quant)]


# MARK: A run


@dataclass
class Run:
    """Everything that a trace records, keyed by its path in the file, and what happened on the way."""

    data: dict = field(default_factory=dict)
    events: Events = None


def to_numpy(tensor):
    return tensor.detach().to(torch.float64).numpy().copy()


def run(settings, initial, images, labels, arithmetic=REFERENCE):
    network = Network(settings, initial, arithmetic)
    images, labels = torch.tensor(images), torch.tensor(labels).long()
    data, steps = {}, {key: [] for key in ("loss", "logits", "frozen", "quantizer")}
    batches = list(zip(images, labels))
    if settings.is_learned_range:
        with torch.no_grad():
            network.logits(batches.pop(0)[0], training=True, initializes=True)
        data["quantizer_init"] = network.quantizer_values
    optimizers = []
    for number, (image, label) in enumerate(batches, start=1):
        logits = network.logits(image, training=True, initializes=number == 1, forward_number=number)
        if number == 1:
            data.setdefault("quantizer_init", network.quantizer_values)
            optimizers = network.optimizers()
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = F.cross_entropy(logits, label)
        loss.backward()
        if number == 1:
            for name, parameter in network.parameters.items():
                data["first_gradient/" + name] = to_numpy(parameter.grad)
            for layer, quantizer in network.quantizers.items():
                for name, value in quantizer.learned.items():
                    data[f"first_gradient/{layer}.{name}"] = to_numpy(value.grad)
        held = {name: network.parameters[name + ".weight"].detach().clone() for name in network.freezing}
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            for name, weight in held.items():
                parameter = network.parameters[name + ".weight"]
                parameter.copy_(torch.where(network.freezing[name].frozen, weight, parameter))
        steps["loss"].append(loss.item())
        steps["logits"].append(to_numpy(logits))
        steps["frozen"].append(network.frozen_counts)
        steps["quantizer"].append(network.quantizer_values)
    data |= {"steps/" + key: np.array(value) for key, value in steps.items()}
    data |= {"final/" + name: to_numpy(value) for name, value in network.state.items()}
    for name, freezing in network.freezing.items():
        data[f"final/{name}.frozen"] = freezing.frozen.numpy().astype(np.uint8)
        data[f"final/{name}.distance"] = to_numpy(freezing.distance)
    with torch.no_grad():
        data["eval/logits"] = to_numpy(network.logits(images[0], training=False))
    return Run(data, network.events)


# MARK: Cases


@dataclass
class Case:
    """A network and a run of it, and what is claimed to happen in it. All randomness comes from `seed`."""

    settings: Settings
    seed: int
    claims: dict  # name: minimum of that event's count
    batch: int = 4
    size: int = 8


def learned(**settings):
    return Settings("learned-range", **settings)


def fixed(**settings):
    return Settings("fixed-scale", **settings)


CASES = {
    "fixed-scale-freeze-2bit-linear-ema0": Case(
        fixed(method="freeze", bits=2, threshold_schedule="linear", distance_ema=0.0, lr_model=0.05),
        seed=0, claims={"frozen_weights": 1000, "resets_that_prevented_freezing": 50}),
    "fixed-scale-freeze-3bit-sine-start0-ema99": Case(
        fixed(method="freeze", bits=3, width=2, threshold_schedule="sine", freeze_start_epoch=0, distance_ema=0.99,
              num_classes=8),
        seed=0, claims={"frozen_weights": 1000, "level_zero_frozen_in_first_step": 100}),
    "fixed-scale-freeze-4bit-fixed-ema99": Case(
        fixed(method="freeze", bits=4, width=2, threshold_schedule="fixed", threshold=0.1, distance_ema=0.99,
              lr_model=0.1),
        seed=0, claims={"frozen_weights": 100, "resets_that_prevented_freezing": 5}),
    "fixed-scale-fullqat-8bit": Case(
        fixed(method="fullqat", bits=8, width=2, epochs=3, num_classes=9), seed=0, claims={}),
    "learned-range-freeze-2bit-linear-start0-ema99": Case(
        learned(method="freeze", bits=2, width=2, threshold_schedule="linear", freeze_start_epoch=0,
                distance_ema=0.99),
        seed=0, claims={"frozen_weights": 1000}),
    "learned-range-freeze-3bit-fixed-ema0": Case(
        learned(method="freeze", bits=3, width=2, threshold_schedule="fixed", threshold=0.2, distance_ema=0.0,
                num_classes=8),
        seed=0, claims={"frozen_weights": 500}),
    "learned-range-freeze-4bit-sine-ema99": Case(
        learned(method="freeze", bits=4, width=2, threshold_schedule="sine", distance_ema=0.99, lr_model=0.05),
        seed=0, claims={"frozen_weights": 500, "resets_that_prevented_freezing": 15}),
    "learned-range-freeze-2bit-linear-moving-levels": Case(
        learned(method="freeze", bits=2, width=2, threshold_schedule="linear", distance_ema=0.0, lr_quant=0.02),
        seed=1, claims={"frozen_weights": 1000, "frozen_level_moves": 25}),
    "learned-range-freeze-8bit-linear-ema99": Case(
        learned(method="freeze", bits=8, width=2, threshold_schedule="linear", distance_ema=0.99, num_classes=9),
        seed=18, claims={"frozen_weights": 500, "frozen_level_moves": 100}),
    "learned-range-fullqat-3bit": Case(
        learned(method="fullqat", bits=3, width=2, epochs=3), seed=0, claims={}),
    "fixed-scale-mobilenetv2-freeze-4bit-linear-ema9": Case(
        fixed(model="mobilenetv2s", width=8, method="freeze", bits=4, threshold_schedule="linear", distance_ema=0.9,
              lr_model=0.01, weight_decay=5e-4),
        seed=0, claims={"frozen_weights": 1000, "resets_that_prevented_freezing": 5}),
    "learned-range-mobilenetv2-freeze-4bit-linear-ema9": Case(
        learned(model="mobilenetv2s", width=8, method="freeze", bits=4, threshold_schedule="linear", distance_ema=0.9,
                lr_model=0.01),
        seed=2, claims={"frozen_weights": 1000, "resets_that_prevented_freezing": 5}),
}


def random_start(case):
    """Weights, batch-norm parameters of both signs, statistics and batches; few significant bits compress well."""
    random, settings = np.random.default_rng(case.seed), case.settings

    def coarse(values, bits):
        return (np.round(values * 2**bits) / 2**bits).astype(np.float32)

    initial = {}

    def batch_norm(name, channels):
        gamma = coarse(random.uniform(0.5, 1.5, channels), 10)
        gamma[0] *= -1
        initial[name + ".weight"] = gamma
        initial[name + ".bias"] = coarse(random.normal(0, 0.2, channels), 10)
        initial[name + ".running_mean"] = coarse(random.normal(0, 0.2, channels), 10)
        initial[name + ".running_var"] = coarse(random.uniform(0.5, 1.5, channels), 10)

    for name, shape in weight_shapes(settings).items():
        fan_in = math.prod(shape[1:])
        initial[name + ".weight"] = coarse(random.normal(0, math.sqrt(2 / fan_in), shape), 12)
        if len(shape) == 2:
            initial[name + ".bias"] = coarse(random.normal(0, 0.1, shape[0]), 10)
        else:
            batch_norm(norm_of(name), shape[0])
    if not settings.is_learned_range:
        batch_norm("bn2", feature_channels(settings))
    count = settings.total_steps + settings.is_learned_range
    images = coarse(random.normal(0, 1, (count, case.batch, 3, case.size, case.size)), 4)
    labels = random.integers(0, settings.num_classes, (count, case.batch)).astype(np.int32)
    return initial, images, labels


def float32_deviation(reference, arguments):
    """The largest deviations of the loss and of the frozen weights in one layer among the variants, step by step."""
    loss, frozen = 0, 0
    for variant in FLOAT32_VARIANTS:
        other = run(*arguments, variant).data
        loss = np.maximum(loss, np.abs(other["steps/loss"] - reference["steps/loss"]))
        frozen = np.maximum(frozen, np.abs(other["steps/frozen"] - reference["steps/frozen"]).max(1))
    return loss, frozen.astype(np.int32)


def leading(flags):
    return next((index for index, flag in enumerate(flags) if not flag), len(flags))


def make(case):
    """The trace's contents and the claims that it fails to keep."""
    arguments = (case.settings, *random_start(case))
    result = run(*arguments)
    loss, frozen = float32_deviation(result.data, arguments)
    result.data |= {"float32_deviation/loss": loss, "float32_deviation/frozen": frozen}
    counts = {**vars(result.events), "frozen_weights": int(result.data["steps/frozen"][-1].sum())}
    broken = [f"{n} is {counts[n]}, claimed at least {least}" for n, least in case.claims.items() if counts[n] < least]
    if (counts["frozen_weights"] > 0) != case.settings.freezes:
        broken.append(f"{counts['frozen_weights']} weights are frozen with method {case.settings.method}")
    _, initial, images, labels = arguments
    contents = {"init/" + name: value for name, value in initial.items()}
    contents |= {"batches/images": images, "batches/labels": labels} | result.data
    return contents, counts, leading(loss < CLEAN), broken


# MARK: Files

SINGLE = ("init/", "first_gradient/", "final/")


def write(path, settings, contents, counts, clean_steps):
    # HDF5 1.10 reads it, and a chunk needs no index.
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.attrs["format"], file.attrs["version"] = "qat-reference-trace", np.int64(1)
        for name, value in vars(settings).items():
            file.attrs[name] = np.int64(value) if isinstance(value, int) else value
        file.attrs["quantizer_columns"] = ",".join(settings.quantizer_columns)
        file.attrs["clean_steps"] = np.int64(clean_steps)
        for name in ("frozen_level_moves", "resets_that_prevented_freezing"):
            file.attrs[name] = np.int64(counts[name])
        file["layers"] = np.array([name.encode() for name in weight_shapes(settings)], "S64")
        for name, value in contents.items():
            if name.startswith(SINGLE) and value.dtype == np.float64:
                value = value.astype(np.float32)
            packing = {"compression": "gzip", "compression_opts": 9, "shuffle": True, "chunks": value.shape}
            file.create_dataset(name, data=value, **(packing if value.nbytes > 1024 else {}))


def read(path):
    with h5py.File(path) as file:
        attributes = dict(file.attrs)
        if (attributes.get("format"), attributes.get("version")) != ("qat-reference-trace", 1):
            sys.exit(f"{path}: not a qat-reference-trace of version 1")
        contents = {}
        file.visititems(
            lambda name, item: contents.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    names = Settings.__dataclass_fields__
    settings = Settings(**{"width": 16} | {name: value for name, value in attributes.items() if name in names})
    if [name.decode() for name in contents["layers"]] != list(weight_shapes(settings)):
        sys.exit(f"{path}: its layers are not those of {settings.model} in recipe {settings.recipe}")
    return settings, contents


def check(path):
    """Replays a trace in float64; true when it agrees to the precision that the file stores."""
    settings, stored = read(path)
    initial = {name.removeprefix("init/"): value for name, value in stored.items() if name.startswith("init/")}
    replayed = run(settings, initial, stored["batches/images"], stored["batches/labels"]).data
    largest, missing = {}, []
    for name, reference in stored.items():
        if name.split("/")[0] in ("init", "batches", "layers", "float32_deviation"):
            continue
        if name not in replayed:
            missing.append(name)
            continue
        if reference.dtype != np.float32:
            deviation, tolerance = np.abs(replayed[name] - reference.astype(np.float64)), 1e-9
        else:
            scale = max(1e-6, float(np.abs(reference).max(initial=0)))
            deviation, tolerance = np.abs(replayed[name] - reference.astype(np.float64)) / scale, 1e-6
        absent = np.isnan(reference) & np.isnan(replayed[name])
        value = float(np.max(np.where(absent, 0, deviation), initial=0))
        group = name if name.startswith(("steps", "eval")) else name.split("/")[0]
        if name.endswith((".frozen", ".distance")):
            group += "/*." + name.rsplit(".", 1)[1]
        if group not in largest or not value <= largest[group][0]:
            largest[group] = (value, tolerance, name)
    agrees = True
    print(os.path.basename(path))
    for group, (value, tolerance, name) in largest.items():
        within = value <= tolerance
        agrees = agrees and within
        print(f"  {group:22} {value:9.2e}  {'ok' if within else 'DIFFERS in ' + name}")
    if settings.method == "fullqat":
        # Nothing freezes: such traces may still record D̄ and an empty mask.
        missing = [name for name in missing if not name.endswith((".frozen", ".distance"))]
    missing = [name for name in missing if not name.endswith(".num_batches_tracked")]
    if missing:
        agrees = False
        print("  not computed:", ", ".join(missing))
    return agrees


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="cases, or traces with --check")
    parser.add_argument("--check", action="store_true", help="replay traces instead of writing them")
    parser.add_argument("--search", action="store_true", help="look for seeds instead of writing traces")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds --search tries")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.check:
        sys.exit(0 if all([check(path) for path in options.names]) else 1)
    for name in options.names or CASES:
        if name not in CASES:
            sys.exit(f"no case {name}; there are {', '.join(CASES)}")
        if options.search:
            search(name, options.seeds)
            continue
        case = CASES[name]
        contents, counts, clean_steps, broken = make(case)
        if broken:
            sys.exit(f"{name}: {'; '.join(broken)}")
        os.makedirs(FOLDER, exist_ok=True)
        path = os.path.join(FOLDER, name + ".h5")
        write(path, case.settings, contents, counts, clean_steps)
        print(f"{name}: {os.path.getsize(path) // 1024} KiB, {clean_steps} of {case.settings.total_steps} steps clean,",
              ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in counts.items()))


def search(name, seeds):
    """Prints seeds up to the first that keeps the claims and has every step clean, with the same frozen counts, in all
    float32 variants and from weights perturbed by several float32 roundings: no rounding boundary is near."""
    for seed in range(seeds):
        case = replace(CASES[name], seed=seed)
        contents, counts, clean_steps, broken = make(case)
        frozen = contents["float32_deviation/frozen"].max()
        if broken or clean_steps < case.settings.total_steps or frozen:
            print(f"{name}: seed {seed}: {clean_steps} steps clean, {frozen} frozen differ {broken or ''}")
            continue
        initial, images, labels = random_start(case)
        random = np.random.default_rng(0)
        deviation = 0
        for _ in range(8):
            near = {key: value * (1 + 5e-7 * random.standard_normal(value.shape)) for key, value in initial.items()}
            other = run(case.settings, near, images, labels).data
            deviation = max(deviation, np.abs(other["steps/loss"] - contents["steps/loss"]).max())
            frozen = max(frozen, np.abs(other["steps/frozen"] - contents["steps/frozen"]).max())
        print(f"{name}: seed {seed}: perturbed loss {deviation:.1e}, {frozen} frozen differ, {counts}")
        if deviation < CLEAN / 100 and not frozen:
            break


if __name__ == "__main__":
    main()
