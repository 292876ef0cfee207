"""Writes a file the way h5py users do: PythonTests reads it back.

Usage: write_foreign.py FILE
"""

import sys

import h5py
import numpy

with h5py.File(sys.argv[1], "w") as file:
    file.attrs["text"] = "é – λ"
    file.attrs["bytes"] = numpy.bytes_(b"plain")
    file.attrs["integer"] = numpy.int64(-7)
    file.attrs["real"] = 0.25
    file.attrs["none"] = h5py.Empty("f4")
    file["fixed"] = numpy.array([b"conv1", b"layer1.0.conv1"], dtype="S64")
    file.create_dataset("variable", data=["", "é", "three"], dtype=h5py.string_dtype())
    file.create_dataset("big_endian", data=numpy.arange(6).reshape(2, 3), dtype=">i4")
    file.create_dataset("half", data=numpy.array([0.5, -2.0]), dtype="f2")
    file.create_dataset("packed", data=numpy.arange(20000.0), compression="gzip", fletcher32=True, maxshape=(None,))
    file["scalar"] = numpy.float32(1.5)
    file["complex"] = numpy.array([1j])
    file["link"] = h5py.SoftLink("/scalar")
    file["dangling"] = h5py.SoftLink("/nowhere")
    rows = numpy.array(
        [(1, 0.5, 2.5, True, b"a"), (2, 0.25, -1.0, False, b"bc")],
        dtype=[("n", ">i2"), ("x", "f4"), ("y", "f8"), ("flag", "?"), ("name", "S4")],
    )
    file["table"] = rows
    file["nested"] = numpy.zeros(1, dtype=[("a", [("b", "i4")])])
