"""Networks with random weights by PyTorch and torchvision, as safetensors files, with their logits.

    make_torchvision.py FOLDER RECTIFIER NAME...      (RECTIFIER: relu6 as published, or relu everywhere)

Writes NAME.safetensors, NAME.images (float32 [4][64][64][3]) and the logits NAME.evaluation and NAME.training (batch norm by
running and by batch statistics). MobileNetV1 is written out here with pytorchcv's names, since torchvision has none.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn


def torchvision_models():
    try:
        import torchvision
    except RuntimeError:
        # Its compiled operators do not load beside another build of PyTorch. The networks need none of them, only names.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        import torchvision
    return torchvision.models


class ConvBlock(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class Unit(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.dw_conv = ConvBlock(inputs, inputs, 3, stride, inputs)
        self.pw_conv = ConvBlock(inputs, outputs, 1)

    def forward(self, x):
        return self.pw_conv(self.dw_conv(x))


class MobileNetV1(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("init_block", ConvBlock(3, 32, 3, 2))
        inputs = 32
        for stage, (outputs, units) in enumerate([(64, 1), (128, 2), (256, 2), (512, 6), (1024, 2)], 1):
            block = nn.Sequential()
            for unit in range(1, units + 1):
                block.add_module(f"unit{unit}", Unit(inputs, outputs, 2 if stage > 1 and unit == 1 else 1))
                inputs = outputs
            self.features.add_module(f"stage{stage}", block)
        self.output = nn.Linear(1024, 1000)

    def forward(self, x):
        return self.output(self.features(x).mean((2, 3)))


def network(name):
    if name == "mobilenetv1":
        return MobileNetV1()
    return getattr(torchvision_models(), {"mobilenetv2": "mobilenet_v2"}.get(name, name))(weights=None)


def main():
    folder, rectifier = Path(sys.argv[1]), sys.argv[2]
    for name in sys.argv[3:]:
        torch.manual_seed(7)
        model = network(name)
        for module in list(model.modules()):
            for key, child in module.named_children():
                if rectifier == "relu" and isinstance(child, nn.ReLU6):
                    setattr(module, key, nn.ReLU())
                if isinstance(child, nn.Dropout):
                    child.p = 0.0
                if isinstance(child, nn.BatchNorm2d):
                    nn.init.uniform_(child.weight, 0.5, 1.5)
                    nn.init.normal_(child.bias, std=0.2)
                    nn.init.normal_(child.running_mean, std=0.1)
                    nn.init.uniform_(child.running_var, 0.5, 1.5)
        images = torch.randn(4, 3, 64, 64)
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / f"{name}.safetensors")
        images.permute(0, 2, 3, 1).contiguous().numpy().tofile(folder / f"{name}.images")
        for purpose in ("evaluation", "training"):
            model.train(purpose == "training")
            with torch.no_grad():
                model(images).numpy().tofile(folder / f"{name}.{purpose}")


main()
