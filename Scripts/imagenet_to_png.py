#!/usr/bin/env python3
"""Turns ImageNet (ILSVRC 2012) into the tree of 8-bit RGB PNG files that spqat reads: {train,val}/CLASS/NAME.png.

    Scripts/imagenet_to_png.py --train ILSVRC2012_img_train.tar --val ILSVRC2012_img_val.tar \\
        --val-classes val_classes.txt --to datasets/imagenet --short-side 256
    Scripts/imagenet_to_png.py --train FOLDER/train --val FOLDER/val --to datasets/imagenet

Each source is the official tar file or the usual tree of class folders. The official validation tar holds no classes: a text
file gives one for each picture, "NAME CLASS" a line, or a class a line in the order of the sorted names. Pictures keep the
orientation that their bytes have; gray, CMYK and palette become RGB. `--short-side N` shrinks what is larger (Pillow's
antialiased bilinear filter), which takes a tenth of the disk and a quarter of the decoding time, and is a departure from
training on the originals. A file that is there is not made again, so run it again after an interruption. What cannot be read
is named at the end, and the exit status is then 1, as where the counts are not ImageNet's (`--any-count` for parts of it).
"""

import argparse
import io
import os
import sys
import tarfile
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path

try:
    from PIL import Image
except ImportError:
    sys.exit("imagenet_to_png: needs Pillow; install it with 'pip install pillow'")

COUNTS = {"train": 1_281_167, "val": 50_000}
CLASSES = 1000
ENDINGS = {".jpeg", ".jpg", ".png"}


def convert(source, target, short_side):
    """Writes one picture as a whole; returns what is wrong with it, or None."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.mode.startswith("I;16") or image.mode in ("I", "F"):
                return f"{target}: has more than 8 bits a sample (mode {image.mode})"
            image = image.convert("RGB")
        if short_side and min(image.size) > short_side:
            width, height = image.size
            size = (
                (short_side, int(short_side * height / width))
                if width <= height
                else (int(short_side * width / height), short_side)
            )
            image = image.resize(size, Image.BILINEAR)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        image.save(temporary, "PNG", compress_level=6)
        os.replace(temporary, target)
        return None
    except Exception as error:  # whatever Pillow says of a damaged file
        return f"{target}: {type(error).__name__}: {error}"


def members(archive, prefix=""):
    """Yields (name, bytes) of the regular files of a tar file, those of tar files in it behind the inner file's name."""
    with tarfile.open(archive) if not hasattr(archive, "read") else tarfile.open(fileobj=archive, mode="r:") as tar:
        for member in tar:
            if not member.isfile():
                continue
            file = tar.extractfile(member)
            if member.name.endswith(".tar"):
                yield from members(io.BytesIO(file.read()), prefix=Path(member.name).stem + "/")
            else:
                yield prefix + member.name, file.read()


def class_list(path, names):
    """The class of each validation picture by its name."""
    lines = [line.split() for line in Path(path).read_text().splitlines() if line.strip()]
    if all(len(line) == 2 for line in lines):
        return {Path(name).stem: label for name, label in lines}
    if all(len(line) == 1 for line in lines) and len(lines) == len(names):
        return {Path(name).stem: line[0] for name, line in zip(sorted(names), lines)}
    sys.exit(f"imagenet_to_png: {path}: {len(lines)} lines for {len(names)} pictures; write 'NAME CLASS' lines")


def pictures(source, split, classes_file):
    """Yields (class, stem, path or bytes) of one split."""
    if source.is_dir():
        for folder in sorted(path for path in source.iterdir() if path.is_dir()):
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in ENDINGS:
                    yield folder.name, path.stem, path
        return
    labels = None
    if classes_file:
        with tarfile.open(source) as tar:
            labels = class_list(classes_file, [member.name for member in tar if member.isfile()])
    for name, data in members(source):
        path = Path(name)
        if path.suffix.lower() not in ENDINGS:
            continue
        label = labels.get(path.stem) if labels else path.parent.name
        if not label:
            sys.exit(f"imagenet_to_png: {source}: no class for {name}; give --val-classes FILE, 'NAME CLASS' a line")
        yield label, path.stem, data


def run(arguments):
    refused, counts, classes = [], {}, {}
    started, made, shown = time.monotonic(), 0, 0.0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        pending = set()

        def collect(done):
            nonlocal made
            for future in done:
                problem = future.result()
                made += 1
                if problem:
                    refused.append(problem)

        for split, source in (("train", arguments.train), ("val", arguments.val)):
            seen, count = {}, 0
            for label, stem, data in pictures(source, split, arguments.val_classes if split == "val" else None):
                folder = arguments.to / split / label
                if label not in seen:
                    folder.mkdir(parents=True, exist_ok=True)
                    for left in folder.glob(".*.tmp"):
                        left.unlink()
                names = seen.setdefault(label, set())
                if stem in names:
                    sys.exit(f"imagenet_to_png: {split}/{label}/{stem} is there twice under different endings")
                names.add(stem)
                count += 1
                target = folder / f"{stem}.png"
                if target.exists():
                    continue
                pending.add(pool.submit(convert, data, target, arguments.short_side))
                # A bounded number in memory.
                if len(pending) >= 8 * arguments.jobs:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    collect(done)
                now = time.monotonic()
                if now - shown > 10:
                    shown = now
                    left = sum(COUNTS.values()) - sum(counts.values()) - count
                    rate = made / (now - started)
                    hours = f", {left / rate / 3600:.1f} h left" if rate > 0 and not arguments.any_count else ""
                    print(f"{split}: {count} pictures, {rate:.0f} a second{hours}", file=sys.stderr, flush=True)
            counts[split], classes[split] = count, set(seen)
        done, _ = wait(pending)
        collect(done)
    for problem in sorted(refused):
        print(f"imagenet_to_png: refused: {problem}", file=sys.stderr)
    faults = len(refused)
    for split, count in counts.items():
        print(f"{split}: {count} pictures in {len(classes[split])} classes")
        if not arguments.any_count and (count, len(classes[split])) != (COUNTS[split], CLASSES):
            print(f"imagenet_to_png: {split}: {COUNTS[split]} pictures in {CLASSES} classes expected", file=sys.stderr)
            faults += 1
    missing = classes["val"] ^ classes["train"]
    if missing:
        print(f"imagenet_to_png: classes of one split alone: {', '.join(sorted(missing)[:5])}", file=sys.stderr)
        faults += 1
    print(f"{made} made, {len(refused)} refused, in {time.monotonic() - started:.0f} s")
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="ILSVRC2012_img_train.tar, or a tree of class folders")
    parser.add_argument("--val", type=Path, required=True, help="ILSVRC2012_img_val.tar, or a tree of class folders")
    parser.add_argument("--val-classes", type=Path, help="the classes of the validation tar's pictures")
    parser.add_argument("--to", type=Path, required=True, help="the tree to write")
    parser.add_argument("--short-side", type=int, help="shrink the shorter side to so many pixels (default: as it is)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--any-count", action="store_true", help="do not expect ImageNet's counts")
    arguments = parser.parse_args()
    for path in (arguments.train, arguments.val, arguments.val_classes):
        if path and not path.exists():
            sys.exit(f"imagenet_to_png: {path}: no such file or folder")
    if arguments.short_side is not None and arguments.short_side < 1:
        sys.exit(f"imagenet_to_png: --short-side is {arguments.short_side}, at least 1 is needed")
    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
