"""Reads a folder of runs with TensorBoard's own readers, as it was at several moments, and prints what they show.

usage: read_tensorboard.py FOLDER...

"moments" is what the reader of TensorBoard's server shows at each of them, which stays open while the folder changes; "fresh"
what one shows that is started at the end; "sums" the number and sum of each histogram's values.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing import event_accumulator, plugin_event_multiplexer
from tensorboard.util import tensor_util


def shown(multiplexer):
    runs = {}
    for run, tags in multiplexer.Runs().items():
        scalars, histograms = {}, {}
        for tag in tags["tensors"]:
            plugin = multiplexer.SummaryMetadata(run, tag).plugin_data.plugin_name
            for event in multiplexer.Tensors(run, tag):
                value = tensor_util.make_ndarray(event.tensor_proto)
                if plugin == "scalars":
                    scalars.setdefault(tag, []).append([event.step, event.wall_time, float(value)])
                else:
                    histograms.setdefault(tag, []).append({"step": event.step, "buckets": value.tolist()})
        runs[run] = {"scalars": scalars, "histograms": histograms}
    return runs


def main(folders):
    live = Path(tempfile.mkdtemp())
    try:
        multiplexer = plugin_event_multiplexer.EventMultiplexer()
        moments = []
        for folder in folders:
            for source in sorted(Path(folder).rglob("*tfevents*")):
                target = live / source.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                # The same file goes on, as it does where it is written.
                with open(target, "r+b" if target.exists() else "wb") as file:
                    file.write(source.read_bytes())
                    file.truncate()
            multiplexer.AddRunsFromDirectory(str(live))
            multiplexer.Reload()
            moments.append(shown(multiplexer))
        fresh = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(live)).Reload()
        sums = {}
        for run in fresh.Runs():
            accumulator = event_accumulator.EventAccumulator(str(live / run), {"histograms": 0}).Reload()
            sums[run] = {
                tag: [[e.histogram_value.num, e.histogram_value.sum] for e in accumulator.Histograms(tag)]
                for tag in accumulator.Tags()["histograms"]
            }
        json.dump({"moments": moments, "fresh": shown(fresh), "sums": sums}, sys.stdout)
    finally:
        shutil.rmtree(live)


if __name__ == "__main__":
    main(sys.argv[1:])
