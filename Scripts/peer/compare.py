#!/usr/bin/env python3
"""Times this project's training step and PyTorch's in turn, A B A B, on the same machine; prints medians and ratios.

    compare.py SPQAT [--model resnet20] [--size N] [--rounds 3] [--steps 9] [--threads 2] [--batch N] [--bits 2]
                     [--frozen 0.6] [--gradients float32] [--only RECIPE:METHOD ...] [--variants VARIANT ...]
                     [--onednn PROGRAM] [--json]

PyTorch runs eagerly, in channels-last memory format, by torch.compile, and both: the first round of every setting times
all of these, the later ones the one that was fastest there, and only that one is compared. Where torch.compile fails (it
needs a C++ compiler) one line says so and its variants are left out. Its step does the same work in all of them: random
batches on both sides, no data loading, and freezing as the published code does it: the whole backward pass, then a mask.
With oneDNN's program (onednn_convolutions.cpp) every round also times its convolutions of ResNet-20, to be printed beside
the parts of this project's steps. Let nothing else run meanwhile.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

SETTINGS = [("spqat", "fullPrecision"), ("spqat", "fullQAT"), ("spqat", "freeze"), ("lts", "fullQAT"), ("lts", "freeze")]

# How PyTorch runs a step: arguments of pytorch_step.py.
VARIANTS = {"eager": [], "channels-last": ["--channels-last"], "compiled": ["--compile"],
            "compiled-channels-last": ["--compile", "--channels-last"]}
COMPILER_FAILED = 3

# The parts of a step that convolutions are in, and what oneDNN's program has beside them.
CONVOLUTION_PARTS = [("forward", "forward", ["forward", "forwardBytes"]),
                     ("inputGradient", "gradients of inputs", ["inputGradient"]),
                     ("weightGradient", "gradients of weights", ["weightGradient"])]


def run_json(command, allowed_failure=None):
    """What a command prints as JSON; None, and a line that says why, where it exits with the status that is allowed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout)
    if done.returncode == allowed_failure:
        print(f"compare: {done.stderr.strip().splitlines()[-1]}; left out", file=sys.stderr)
        return None
    sys.exit(f"compare: {' '.join(command)} failed:\n{done.stderr.strip()}")


def time_peer(command, variants):
    """What pytorch_step.py says of each variant, without those that cannot be compiled."""
    timings = {}
    for variant in variants:
        timing = run_json(command + VARIANTS[variant], allowed_failure=COMPILER_FAILED)
        if timing:
            timings[variant] = timing
    if not timings:
        sys.exit("compare: none of --variants runs here")
    return timings


def median_of(samples, *path):
    """The median of the numbers at a path of keys in every sample."""
    def number(sample):
        for key in path:
            sample = sample[key]
        return sample
    return statistics.median(number(sample) for sample in samples)


def print_onednn(runs, settings, ours):
    """oneDNN's convolutions beside the parts of this project's steps."""
    print(f"\nConvolutions of a step, milliseconds: oneDNN {runs[0]['onednnVersion']} in its own memory formats, 3x3 only; spqat "
          "with all that these parts hold\n")
    print("| part | oneDNN float32 | oneDNN bytes | " + " | ".join(f"spqat {' '.join(setting)}" for setting in settings) + " |")
    print("|---" + "|---:" * (2 + len(settings)) + "|")
    for part, title, names in CONVOLUTION_PARTS:
        cells = [f"{median_of(runs, 'total', name):.1f}" for name in names] + ["–"] * (2 - len(names))
        cells += [f"{median_of(ours[setting], 'parts', part):.1f}" for setting in settings]
        print(f"| {title} | " + " | ".join(cells) + " |")
    print("\nBytes: levels of all layers but the first, which reads images.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spqat")
    parser.add_argument("--model", default="resnet20", help="resnet20, resnet18 or mobilenetv2")
    parser.add_argument("--size", type=int, help="side of an image in pixels; 32, or 224 for ImageNet's networks")
    parser.add_argument("--only", nargs="+", metavar="RECIPE:METHOD", help="only these; all where absent")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, help="images; 128, or 32 for ImageNet's networks")
    parser.add_argument("--bits", type=int, default=2)
    parser.add_argument("--frozen", type=float, default=0.6)
    parser.add_argument("--gradients", default="float32", choices=("float32", "int16"), help="this project's, of weights")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS, help="of PyTorch; all by default")
    parser.add_argument("--onednn", metavar="PROGRAM", help="onednn_convolutions; resnet20 only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.batch = options.batch or (128 if options.model == "resnet20" else 32)
    options.size = options.size or (32 if options.model == "resnet20" else 224)
    settings = [s for s in SETTINGS if not options.only or ":".join(s) in options.only]
    if not settings:
        sys.exit("compare: --only names none of " + ", ".join(":".join(s) for s in SETTINGS))
    peer_script = str(pathlib.Path(__file__).with_name("pytorch_step.py"))
    if options.model != "resnet20":
        options.onednn = None

    ours = {setting: [] for setting in settings}
    peer = {setting: [] for setting in settings}
    variants, taken = {}, {}  # what the first round of a setting has of each, and the name of the fastest
    onednn = []
    for round_number in range(options.rounds):
        for setting in settings:
            recipe, method = setting
            print(f"round {round_number + 1}/{options.rounds}: {recipe} {method}", file=sys.stderr)
            shared = ["--model", options.model, "--size", str(options.size), "--batch", str(options.batch),
                      "--bits", str(options.bits), "--threads", str(options.threads), "--steps", str(options.steps)]
            ours[setting].append(run_json(
                [options.spqat, "bench", "step", "--json", "--recipe", recipe, "--method", method, "--frozen",
                 str(options.frozen), "--gradients", options.gradients] + shared))
            command = [sys.executable, peer_script, "--recipe", recipe, "--mode", method, "--frozen-share",
                       str(options.frozen)] + shared
            if round_number == 0:
                variants[setting] = time_peer(command, options.variants)
                taken[setting] = min(variants[setting], key=lambda name: variants[setting][name]["stepMilliseconds"])
                peer[setting].append(variants[setting][taken[setting]])
            else:
                peer[setting].append(run_json(command + VARIANTS[taken[setting]]))
        if options.onednn:
            onednn.append(run_json([options.onednn, "--batch", str(options.batch), "--size", str(options.size),
                                    "--threads", str(options.threads), "--calls", str(options.steps)]))

    rows = []
    for setting in settings:
        pairs = list(zip(ours[setting], peer[setting]))
        rows.append({
            "recipe": setting[0], "method": setting[1], "variant": taken[setting],
            "variants_ms": {name: timing["stepMilliseconds"] for name, timing in variants[setting].items()},
            "spqat_ms": statistics.median(a["milliseconds"] for a, _ in pairs),
            "pytorch_ms": statistics.median(b["stepMilliseconds"] for _, b in pairs),
            "speedup": statistics.median(b["stepMilliseconds"] / a["milliseconds"] for a, b in pairs),
            "speedup_of_minima": min(b["minimumMilliseconds"] for _, b in pairs) / min(a["minimum"] for a, _ in pairs),
            "speedup_low": min(b["stepMilliseconds"] / a["milliseconds"] for a, b in pairs),
            "speedup_high": max(b["stepMilliseconds"] / a["milliseconds"] for a, b in pairs),
            "weight_gradient_ms": statistics.median(a["parts"]["weightGradient"] for a, _ in pairs),
            "spqat_mib": max(a["peakMiB"] for a, _ in pairs),
            "pytorch_mib": max(b["peakMebibytes"] for _, b in pairs),
        })
    by_setting = {(row["recipe"], row["method"]): row for row in rows}
    ratios = {}
    for recipe in ("spqat", "lts"):
        if not {(recipe, "fullQAT"), (recipe, "freeze")} <= by_setting.keys():
            continue
        full, frozen = by_setting[recipe, "fullQAT"], by_setting[recipe, "freeze"]
        ratios[recipe] = {
            "freeze_step_over_full_qat": frozen["spqat_ms"] / full["spqat_ms"],
            "weight_gradient_over_dense": frozen["weight_gradient_ms"] / full["weight_gradient_ms"],
            "pytorch_freeze_step_over_full_qat": frozen["pytorch_ms"] / full["pytorch_ms"],
        }
    if options.json:
        print(json.dumps({"options": vars(options), "steps": rows, "freezing": ratios, "onednn": onednn,
                          "torch": peer[settings[0]][0]["torchVersion"]}, indent=1))
        return
    print(f"\nTraining step of {options.model}, {options.size}x{options.size}, batch {options.batch}, {options.bits} bits, "
          f"{options.threads} threads, "
          f"{options.frozen:.0%} frozen, {options.gradients} gradients of weights, PyTorch {peer[settings[0]][0]['torchVersion']}\n")
    print("| recipe | method | spqat ms | images/s | PyTorch | ms | images/s | faster by | of minima | peak MiB | PyTorch MiB |")
    print("|---|---|---:|---:|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(f"| {row['recipe']} | {row['method']} | {row['spqat_ms']:.1f} | {options.batch / row['spqat_ms'] * 1e3:.0f} "
              f"| {row['variant']} | {row['pytorch_ms']:.1f} | {options.batch / row['pytorch_ms'] * 1e3:.0f} | {row['speedup']:.2f} "
              f"({row['speedup_low']:.2f} to {row['speedup_high']:.2f}) | {row['speedup_of_minima']:.2f} "
              f"| {row['spqat_mib']:.0f} | {row['pytorch_mib']:.0f} |")
    print()
    for row in rows:
        print(f"{row['recipe']} {row['method']}: PyTorch in the first round: "
              + ", ".join(f"{name} {milliseconds:.1f}" for name, milliseconds in row["variants_ms"].items()) + " ms")
    for recipe, ratio in ratios.items():
        print(f"{recipe}: a step with {options.frozen:.0%} frozen takes {ratio['freeze_step_over_full_qat']:.2f} of full "
              f"QAT's time, its weight gradient {ratio['weight_gradient_over_dense']:.2f} of the dense one's "
              f"(PyTorch: {ratio['pytorch_freeze_step_over_full_qat']:.2f} of its full QAT)")
    if onednn:
        print_onednn(onednn, settings, ours)


if __name__ == "__main__":
    main()
