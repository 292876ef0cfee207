#!/usr/bin/env python3
"""Writes a made-up ImageNet of six pictures into a folder: as trees of JPEG files, and as tar files of the official form."""

import io
import sys
import tarfile
from pathlib import Path

from PIL import Image

root = Path(sys.argv[1])


def picture(size, mode="RGB", **options):
    image = Image.new("RGB", size)
    image.putdata([(x * 5 % 256, y * 7 % 256, (x + y) * 3 % 256) for y in range(size[1]) for x in range(size[0])])
    data = io.BytesIO()
    form = options.pop("form", "JPEG")
    image.convert(mode).save(data, form, **options)
    return data.getvalue()


turned = Image.Exif()
turned[0x0112] = 6
train = {
    "n01": {"n01_1.JPEG": picture((40, 30)), "n01_2.JPEG": picture((30, 50), "L")},
    "n02": {"n02_1.JPEG": picture((64, 48), "CMYK"), "n02_2.JPEG": picture((20, 20), "P", form="PNG")},
}
val = {"n01": {"val_1.JPEG": picture((33, 44), exif=turned)}, "n02": {"val_2.JPEG": picture((50, 20))}}

for split, classes in (("train", train), ("val", val)):
    for label, files in classes.items():
        folder = root / "tree" / split / label
        folder.mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)


def add(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


with tarfile.open(root / "train.tar", "w") as tar:
    for label, files in train.items():
        inner = io.BytesIO()
        with tarfile.open(fileobj=inner, mode="w") as inner_tar:
            for name, data in files.items():
                add(inner_tar, name, data)
        add(tar, f"{label}.tar", inner.getvalue())
with tarfile.open(root / "val.tar", "w") as tar:
    for files in val.values():
        for name, data in files.items():
            add(tar, name, data)
(root / "classes.txt").write_text("val_1.JPEG n01\nval_2.JPEG n02\n")
