#!/usr/bin/env python3
"""Writes resampling.json: what Pillow makes of generated pictures, and the boxes of torchvision's RandomResizedCrop.

Run once with each Pillow whose results are to be in the file (12 squeezes the columns of every row first, 13 chooses by
the sizes):

    python3 -m venv p12 && p12/bin/pip install pillow==12.0.0 && p12/bin/python make_resampling.py
    python3 -m venv p13 && p13/bin/pip install pillow==13.0.0 && p13/bin/python make_resampling.py

A picture's byte at row y, column x and channel c is (3x² + 5y² + 7xy(c + 1) + 61c + 101·seed) // 8 mod 256. A case takes a
box (left, top, width, height) out of it, crops first, and resizes to `size` (width, height); a case with `side` is an
evaluation image: the shorter side resized, then the centre, zeros where it is too short.
"""

import hashlib
import json
import math
from pathlib import Path

import PIL
from PIL import Image

FILE = Path(__file__).with_name("resampling.json")

CROPS = [
    # picture, box, size
    ((13, 9), (0, 0, 13, 9), (6, 6)),
    ((13, 9), (2, 1, 7, 6), (7, 3)),
    ((13, 9), (2, 1, 7, 6), (3, 6)),
    ((5, 4), (1, 1, 3, 2), (9, 8)),
    ((5, 4), (0, 0, 5, 4), (5, 4)),
    ((1, 1), (0, 0, 1, 1), (4, 4)),
    ((40, 3), (0, 0, 40, 3), (3, 11)),
    ((341, 256), (17, 30, 200, 187), (224, 224)),
    ((341, 256), (0, 0, 341, 256), (224, 224)),
    ((256, 341), (100, 200, 61, 50), (224, 224)),
    ((500, 375), (3, 5, 480, 365), (224, 224)),
    ((500, 375), (0, 0, 224, 375), (224, 224)),
    ((500, 375), (0, 0, 500, 224), (224, 224)),
    ((900, 60), (0, 0, 900, 60), (32, 32)),
    ((60, 900), (0, 0, 60, 900), (32, 32)),
]
CENTRES = [
    # picture, shorter side, side
    ((13, 9), 4, 3),
    ((5, 8), 10, 6),
    ((7, 7), 7, 5),
    ((500, 375), 256, 224),
    ((375, 500), 256, 224),
    ((97, 61), 40, 37),
    ((6, 3), 4, 7),
    ((3, 5), 4, 6),
    ((4, 4), 3, 8),
]
SHAPES = [(500, 375), (375, 500), (256, 341), (3, 5), (1, 1), (1000, 40), (40, 1000), (333, 444)]
DRAWS = [(0.08, 0.0), (1.0, 0.5), (0.5, 1.0), (0.25, 0.25), (0.999, 0.999), (0.9, 0.02), (0.6, 0.5), (0.12, 0.73)]


def picture(size, seed):
    width, height = size
    data = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(3):
                data.append(((3 * x * x + 5 * y * y + 7 * x * y * (c + 1) + 61 * c + 101 * seed) // 8) % 256)
    return Image.frombytes("RGB", size, bytes(data))


def centre(image, shorter, side):
    width, height = image.size
    size = (shorter, int(shorter * height / width)) if width <= height else (int(shorter * width / height), shorter)
    image = image.resize(size, Image.BILINEAR)
    width, height = size
    if width < side or height < side:
        canvas = Image.new("RGB", (max(width, side), max(height, side)))
        canvas.paste(image, (max(0, side - width) // 2, max(0, side - height) // 2))
        image, (width, height) = canvas, canvas.size
    left, top = int(round((width - side) / 2)), int(round((height - side) / 2))
    return image.crop((left, top, left + side, top + side))


def case(image, **members):
    pixels = image.tobytes()
    result = dict(members, sha256=hashlib.sha256(pixels).hexdigest())
    if len(pixels) <= 200:
        result["pixels"] = list(pixels)
    return result


def shape(width, height, share, uniform):
    """The box of one try, or None, in torchvision's words."""
    log_ratio = (math.log(3 / 4), math.log(4 / 3))
    area = width * height * share
    ratio = math.exp(log_ratio[0] + (log_ratio[1] - log_ratio[0]) * uniform)
    w, h = int(round(math.sqrt(area * ratio))), int(round(math.sqrt(area / ratio)))
    return [w, h] if 0 < w <= width and 0 < h <= height else None


def fallback(width, height):
    ratio = width / height
    if ratio < 3 / 4:
        w, h = width, int(round(width / (3 / 4)))
    elif ratio > 4 / 3:
        h, w = height, int(round(height * (4 / 3)))
    else:
        w, h = width, height
    return [(width - w) // 2, (height - h) // 2, w, h]


def main():
    crops, centres = [], []
    for seed, (size, (left, top, width, height), target) in enumerate(CROPS):
        cut = picture(size, seed).crop((left, top, left + width, top + height))
        crops.append(case(cut.resize(target, Image.BILINEAR), picture=size, box=(left, top, width, height), size=target))
    for seed, (size, shorter, side) in enumerate(CENTRES):
        centres.append(case(centre(picture(size, seed), shorter, side), picture=size, shorter=shorter, side=side))
    document = json.loads(FILE.read_text()) if FILE.exists() else {"pillow": {}}
    document["pillow"][PIL.__version__] = {"crops": crops, "centres": centres}
    document["shapes"] = [
        {"picture": size, "share": share, "uniform": uniform, "box": shape(*size, share, uniform)}
        for size in SHAPES
        for share, uniform in DRAWS
    ]
    document["fallbacks"] = [{"picture": size, "box": fallback(*size)} for size in SHAPES]
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    # A line a case.
    FILE.write_text(text.replace("},{", "},\n{").replace("[{", "[\n{") + "\n")


if __name__ == "__main__":
    main()
