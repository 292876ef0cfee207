"""Reads a file of TableTests' sample with h5py, pandas and PyTables and compares it with what Swift wrote.

Usage: read_tables.py FILE. Exits 0 and prints "ok", or fails with the first difference. Exits 77 where a package is missing.
"""

import math
import sys

try:
    import h5py
    import numpy
    import pandas
    import tables  # pandas.read_hdf needs it
except ImportError as error:
    print(error)
    sys.exit(77)

path = sys.argv[1]
columns = ["epoch", "trainLoss", "frozenShare", "finished", "layer"]
expected = {
    "epoch": [1, 2, 3],
    "trainLoss": [2.25, 0.1, -1e-300],
    "frozenShare": [0.0, float(numpy.float32(0.1)), 100.0],
    "finished": [False, True, True],
    "layer": ["", "conv1", "läyer|2"],
}


def check(source, frame):
    assert list(frame.columns) == columns, (source, list(frame.columns))
    assert len(frame) == 3, (source, len(frame))
    for name in columns:
        found = [v.decode("utf-8") if isinstance(v, bytes) else v for v in frame[name].tolist()]
        assert found == expected[name], (source, name, found)
    assert frame["epoch"].dtype == numpy.int64, source
    assert frame["trainLoss"].dtype == numpy.float64, source
    assert frame["frozenShare"].dtype == numpy.float32, source


check("pandas.read_hdf", pandas.read_hdf(path, "run/epochs"))
with h5py.File(path, "r") as file:
    table = file["run/epochs"]
    frame = pandas.DataFrame(table[:])
    check("h5py", frame)
    assert frame["finished"].dtype == bool
    assert list(table.attrs["column_order"]) == columns
    assert list(table.attrs["units"]) == ["", "nats", "%", "", ""]
    assert table.attrs["descriptions"][2] == "Of freezable weights – λ·u"
    assert table.attrs["title"] == "Training, by epoch"
    plot = file["run/epochs_plots/trainLoss"]
    assert plot.attrs["NX_class"] == "NXdata"
    assert plot[plot.attrs["signal"]][:].tolist() == expected["trainLoss"]
    assert plot[plot.attrs["axes"][0]][:].tolist() == expected["epoch"]
    assert file["run/empty"].shape == (0,)
    assert pandas.DataFrame(file["run/empty"][:]).empty
    assert file["values/float32"].dtype == numpy.float32 and file["values/float32"].shape == (2, 1, 3)
    assert file["values/int64"][()] == -5
    assert file["values/text"][()].decode("utf-8") == "é – λ"
    assert math.isnan(file["values/nan"][0])
    assert file.attrs["text"] == "é – λ" and file.attrs["number"] == 0.5
empty = pandas.read_hdf(path, "run/empty")
assert list(empty.columns) == ["n", "text"] and len(empty) == 0, empty
with tables.open_file(path) as file:
    assert file.root.run.epochs.nrows == 3
print("ok")
