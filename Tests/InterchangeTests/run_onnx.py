"""Checks an ONNX file, runs it on a tree of images and compares its logits with others.

    run_onnx.py MODEL.onnx TREE/test LOGITS     (float32 [images][classes], in the order of the files' names)

Prints a JSON object: how many images there are, of how many the logits agree to 1e-4 of the largest one's magnitude, the
greatest such difference of those and of all, and how many images have the same best class.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image

model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
facts = {entry.key: entry.value for entry in model.metadata_props}
mean, deviation = (np.array(facts[key].split(), np.float64) for key in ("mean", "deviation"))
files = sorted(Path(sys.argv[2]).glob("*/*.png"), key=lambda file: (file.parent.name, file.name))
pixels = np.stack([np.array(Image.open(file).convert("RGB")) for file in files])
images = ((pixels / 255 - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2)
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(logits,) = session.run(None, {session.get_inputs()[0].name: images})
expected = np.fromfile(sys.argv[3], np.float32).reshape(len(files), -1)
assert logits.shape == expected.shape, (logits.shape, expected.shape)
difference = np.abs(logits - expected).max(1) / np.abs(expected).max(1)
close = difference <= 1e-4
print(
    json.dumps(
        {
            "images": len(files),
            "close": int(close.sum()),
            "worstOfClose": float(difference[close].max(initial=0)),
            "worst": float(difference.max()),
            "sameTopOne": int((logits.argmax(1) == expected.argmax(1)).sum()),
            "operators": sorted({node.op_type for node in model.graph.node}),
            "operatorSet": model.opset_import[0].version,
            "initializers": sorted({onnx.TensorProto.DataType.Name(t.data_type) for t in model.graph.initializer}),
            "classes": facts["classes"].split("\n"),
        }
    )
)
