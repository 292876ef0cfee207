"""Writes PNG files of all kinds and, beside each, the pixels that a reader must make of it.

usage: make_pngs.py FOLDER COUNT SEED [SUITE...]

NAME.png is the image and NAME.rgb its 8-bit RGB pixels by the rules of datasets/README.md: gray replicated, palettes
expanded, 16 bits scaled to 8 (v * 255 / 65535, rounded), alpha and tRNS dropped, gamma ignored. Pillow must read the same
from each file; where it keeps only the high byte of 16 bits, it must read that. COUNT files are random: three in four by a
writer of its own, straight from the PNG specification, since Pillow writes neither interlaced files nor most depths; the
others by Pillow. Every NAME.png of the folders SUITE (PngSuite) is taken as well, with Pillow's pixels; NAME.high says that
they are high bytes. Prints how many files of what there are.
"""
import pathlib
import random
import shutil
import struct
import sys
import warnings
import zlib

import numpy as np
from PIL import Image, PngImagePlugin

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
DEPTHS = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
SAMPLES = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed_rows(samples, depth):
    """Rows of bytes of an array [height, width, channels]."""
    height = samples.shape[0]
    rows = samples.reshape(height, -1)
    if depth == 16:
        return rows.astype(">u2").view(np.uint8).reshape(height, -1)
    if depth == 8:
        return rows.astype(np.uint8)
    bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)


def filtered(rows, step, choose):
    """Each row with its filter's number before it; `step` bytes lie between a byte and its neighbour on the left."""
    out = bytearray()
    above = np.zeros(rows.shape[1], np.int32)
    for row in rows.astype(np.int32):
        left = np.concatenate([np.zeros(step, np.int32), row])[: len(row)]
        corner = np.concatenate([np.zeros(step, np.int32), above])[: len(row)]
        guess = left + above - corner
        to_left, to_above, to_corner = abs(guess - left), abs(guess - above), abs(guess - corner)
        paeth = np.where((to_left <= to_above) & (to_left <= to_corner), left,
                         np.where(to_above <= to_corner, above, corner))
        number = choose()
        predicted = (0 * row, left, above, (left + above) // 2, paeth)[number]
        out.append(number)
        out += ((row - predicted) & 255).astype(np.uint8).tobytes()
        above = row
    return bytes(out)


def scaled(samples, top):
    """Samples from 0 to `top` as 8 bits."""
    return np.rint(samples.astype(np.float64) * 255 / top).astype(np.uint8)


def write_by_specification(path, dice):
    """A file of a random kind. Returns its kind, pixels, and Pillow's pixels where it keeps high bytes only."""
    color = dice.choice(list(DEPTHS))
    depth = dice.choice(DEPTHS[color])
    width, height = dice.randint(1, 64), dice.randint(1, 64)
    entries = dice.randint(1, 1 << depth) if color == PALETTE else 0
    top = entries or 1 << depth
    numbers = np.random.default_rng(dice.getrandbits(32))
    shape = (height, width, SAMPLES[color])
    # Noise, or smooth enough that every filter makes something else of it.
    samples = numbers.integers(0, top, shape)
    if dice.random() < 0.5:
        samples = (np.indices(shape).sum(0) * dice.randint(1, 9) + samples // 8) % top

    interlaced = dice.random() < 0.5
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))]
    if dice.random() < 0.3:
        parts.append(chunk(b"gAMA", struct.pack(">I", dice.choice((1, 45455, 100000, 220000)))))
    if dice.random() < 0.2:
        parts.append(chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)))
    if dice.random() < 0.2:
        parts.append(chunk(b"sRGB", bytes([dice.randrange(4)])))
    palette = numbers.integers(0, 256, (entries, 3)).astype(np.uint8)
    if color == PALETTE:
        parts.append(chunk(b"PLTE", palette.tobytes()))
    elif color in (RGB, RGB_ALPHA) and dice.random() < 0.2:
        parts.append(chunk(b"PLTE", bytes(3 * dice.randint(1, 256))))  # A suggestion, of no effect.
    transparent = color in (GRAY, RGB, PALETTE) and dice.random() < 0.4
    if transparent and color == PALETTE:
        parts.append(chunk(b"tRNS", bytes(dice.randrange(256) for _ in range(dice.randint(1, entries)))))
    elif transparent:
        parts.append(chunk(b"tRNS", samples[0, 0].astype(">u2").tobytes()))
    if dice.random() < 0.2:
        parts.append(chunk(b"tEXt", b"Comment\0" + b"x" * dice.randrange(100)))

    step = max(1, depth * SAMPLES[color] // 8)
    fixed = dice.choice((None, 0, 1, 2, 3, 4))
    choose = (lambda: dice.randrange(5)) if fixed is None else lambda: fixed
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    images = (samples[y::down, x::right] for x, y, right, down in passes)
    pixels = b"".join(filtered(packed_rows(image, depth), step, choose) for image in images if image.size)
    data = zlib.compress(pixels, dice.randrange(10))
    cut = dice.choice((len(data), 1, 7, 100)) if len(data) < 2000 else len(data) // dice.randint(1, 5) + 1
    parts += [chunk(b"IDAT", data[at:at + cut]) for at in range(0, len(data), cut)]
    parts.append(chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))

    if color == PALETTE:
        shown = high = palette[samples[..., 0]]
    else:
        shown = scaled(samples, (1 << depth) - 1)
        high = (samples >> 8).astype(np.uint8) if depth == 16 else shown
        channels = [0, 1, 2] if color in (RGB, RGB_ALPHA) else [0, 0, 0]
        shown, high = shown[..., channels], high[..., channels]
    kind = f"{color}-{depth}{'-interlaced' if interlaced else ''}{'-tRNS' if transparent else ''}"
    return kind, shown, high


def write_by_pillow(path, dice):
    mode = dice.choice(("1", "L", "LA", "I;16", "P", "RGB", "RGBA"))
    width, height = dice.randint(1, 64), dice.randint(1, 64)
    numbers = np.random.default_rng(dice.getrandbits(32))
    channels = {"LA": 2, "RGB": 3, "RGBA": 4}.get(mode, 1)
    options = {"optimize": dice.random() < 0.3, "compress_level": dice.randrange(10)}
    if mode == "I;16":
        samples = numbers.integers(0, 1 << 16, (height, width), dtype=np.uint16)
        Image.fromarray(samples).save(path, **options)
        shown = scaled(samples, 65535)[..., None].repeat(3, 2)
        return "pillow-I;16", shown, shown
    if mode == "1":
        image = Image.fromarray(numbers.integers(0, 2, (height, width)).astype(np.uint8) * 255).convert("1")
    elif mode == "P":
        bits = dice.choice((1, 2, 4, 8))
        indices = numbers.integers(0, 1 << bits, width * height).astype(np.uint8)
        image = Image.frombytes("P", (width, height), indices.tobytes())
        image.putpalette(numbers.integers(0, 256, 3 << bits).astype(np.uint8).tobytes())
        options["bits"] = bits
    else:
        image = Image.frombytes(mode, (width, height), numbers.bytes(width * height * channels))
    if mode in ("L", "P") and dice.random() < 0.3:
        options["transparency"] = 0
    if dice.random() < 0.3:
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "x" * dice.randrange(100), zip=dice.random() < 0.5)
        options["pnginfo"] = text
    image.save(path, **options)
    shown = np.asarray(image.convert("RGB"))
    return f"pillow-{mode}", shown, shown


def read_by_pillow(path):
    """Its pixels, without alpha; and whether these are the high bytes of 16 bits."""
    with Image.open(path) as image:
        deep = path.read_bytes()[24] == 16
        if image.mode in ("I", "I;16"):
            return scaled(np.asarray(image), 65535)[..., None].repeat(3, 2), False
        return np.asarray(image.convert("RGB")), deep


def main():
    warnings.simplefilter("ignore")  # Alpha is dropped on purpose.
    folder, count, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    dice = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {}
    for index in range(count):
        path = folder / f"{index:05}.png"
        kind, shown, high = (write_by_pillow if index % 4 == 3 else write_by_specification)(path, dice)
        found, is_high = read_by_pillow(path)
        if not np.array_equal(found, high if is_high else shown):
            sys.exit(f"Pillow reads other pixels from {path}, of kind {kind}")
        named = path.rename(folder / f"{index:05}-{kind}.png")
        named.with_suffix(".rgb").write_bytes(np.ascontiguousarray(shown).tobytes())
        kinds[kind] = kinds.get(kind, 0) + 1
    suite = 0
    for source in map(pathlib.Path, sys.argv[4:]):
        for path in sorted(source.rglob("*.png")):
            target = folder / f"suite-{suite:03}-{path.name}"
            shutil.copy(path, target)
            suite += 1
            try:
                found, is_high = read_by_pillow(target)
            except Exception:
                continue  # No pixels: damaged on purpose.
            target.with_suffix(".rgb").write_bytes(np.ascontiguousarray(found).tobytes())
            if is_high:
                target.with_suffix(".high").touch()
    print(f"{count} random files of {len(kinds)} kinds, {suite} of the suite")


main()
