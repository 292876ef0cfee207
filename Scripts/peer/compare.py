#!/usr/bin/env python3
"""Times this project's training step and PyTorch's in turn, A B A B, on the same machine; prints medians and ratios.

    compare.py SPQAT [--model resnet20] [--size N] [--rounds 3] [--steps 9] [--threads 2] [--batch N] [--bits 2]
                     [--frozen 0.6] [--only RECIPE:METHOD ...] [--json]

Random batches on both sides, no data loading. PyTorch's freezing step does what the published code does: the whole
backward pass, then a mask. Let nothing else run meanwhile.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

SETTINGS = [("spqat", "fullPrecision"), ("spqat", "fullQAT"), ("spqat", "freeze"), ("lts", "fullQAT"), ("lts", "freeze")]


def last_json_line(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"compare: {' '.join(command)} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


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
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.batch = options.batch or (128 if options.model == "resnet20" else 32)
    options.size = options.size or (32 if options.model == "resnet20" else 224)
    settings = [s for s in SETTINGS if not options.only or ":".join(s) in options.only]
    if not settings:
        sys.exit("compare: --only names none of " + ", ".join(":".join(s) for s in SETTINGS))
    peer_script = str(pathlib.Path(__file__).with_name("pytorch_step.py"))

    ours = {setting: [] for setting in settings}
    peer = {setting: [] for setting in settings}
    for round_number in range(options.rounds):
        for recipe, method in settings:
            print(f"round {round_number + 1}/{options.rounds}: {recipe} {method}", file=sys.stderr)
            shared = ["--model", options.model, "--size", str(options.size), "--batch", str(options.batch),
                      "--bits", str(options.bits), "--threads", str(options.threads), "--steps", str(options.steps)]
            ours[recipe, method].append(last_json_line(
                [options.spqat, "bench", "step", "--json", "--recipe", recipe, "--method", method, "--frozen",
                 str(options.frozen)] + shared))
            peer[recipe, method].append(last_json_line(
                [sys.executable, peer_script, "--recipe", recipe, "--mode", method, "--frozen-share",
                 str(options.frozen)] + shared))

    rows = []
    for setting in settings:
        pairs = list(zip(ours[setting], peer[setting]))
        rows.append({
            "recipe": setting[0], "method": setting[1],
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
        print(json.dumps({"options": vars(options), "steps": rows, "freezing": ratios,
                          "torch": peer[settings[0]][0]["torchVersion"]}, indent=1))
        return
    print(f"\nTraining step of {options.model}, {options.size}x{options.size}, batch {options.batch}, {options.bits} bits, "
          f"{options.threads} threads, "
          f"{options.frozen:.0%} frozen, PyTorch {peer[settings[0]][0]['torchVersion']}\n")
    print("| recipe | method | spqat ms | images/s | PyTorch ms | images/s | faster by | of minima | peak MiB | PyTorch MiB |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(f"| {row['recipe']} | {row['method']} | {row['spqat_ms']:.1f} | {options.batch / row['spqat_ms'] * 1e3:.0f} "
              f"| {row['pytorch_ms']:.1f} | {options.batch / row['pytorch_ms'] * 1e3:.0f} | {row['speedup']:.2f} "
              f"({row['speedup_low']:.2f} to {row['speedup_high']:.2f}) | {row['speedup_of_minima']:.2f} "
              f"| {row['spqat_mib']:.0f} | {row['pytorch_mib']:.0f} |")
    print()
    for recipe, ratio in ratios.items():
        print(f"{recipe}: a step with {options.frozen:.0%} frozen takes {ratio['freeze_step_over_full_qat']:.2f} of full "
              f"QAT's time, its weight gradient {ratio['weight_gradient_over_dense']:.2f} of the dense one's "
              f"(PyTorch: {ratio['pytorch_freeze_step_over_full_qat']:.2f} of its full QAT)")


if __name__ == "__main__":
    main()
