"""A PyTorch net to firn and back, for three nets.

    python make_roundtrip.py                      trains the nets a little in PyTorch 2.13 and writes, beside this script,
                                                  roundtrip_NET.safetensors and the logits: roundtrip.txt roundtrip.bin
    python make_roundtrip.py check TEST_ROUNDTRIP runs the test program, which fine-tunes each of these files in firn and
                                                  writes NET.safetensors and its logits; loads them into PyTorch with
                                                  strict=True and compares the logits (1e-5 relative)

test_roundtrip.c compares the logits of the committed files in firn. The nets stand here and there.
"""
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from make_golden import Golden

HERE = pathlib.Path(__file__).parent


class Mlp(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(256, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 10))


class Cnn(nn.Module):
    """The layers of the reference job, on 16x16 images."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(1152, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 5))

    def forward(self, x):
        return self.head(self.features(x))


class Block(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.down = None if stride == 1 else nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.down is None else self.down(x)))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.layer1, self.layer2 = Block(8, 8, 1), Block(8, 16, 2)
        self.fc = nn.Linear(16, 7)

    def forward(self, x):
        x = self.layer2(self.layer1(torch.relu(self.bn(self.conv(x)))))
        return self.fc(x.mean((2, 3)))


# How each file is stored: types that firn converts.
NETS = {"mlp": (Mlp, torch.float32), "cnn": (Cnn, torch.float16), "residual": (Residual, torch.float32)}


def make():
    out = Golden("roundtrip")
    torch.manual_seed(5)
    images = torch.rand(6, 1, 16, 16)
    out.put("all.x", images)
    for name, (net, dtype) in NETS.items():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), 0.05, 0.9)
        for _ in range(5):
            optimizer.zero_grad()
            logits = model(torch.rand(32, 1, 16, 16))
            nn.functional.cross_entropy(logits, torch.randint(logits.shape[1], (32,))).backward()
            optimizer.step()
        state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in model.state_dict().items()}
        save_file(state, HERE / f"roundtrip_{name}.safetensors")
        model.load_state_dict(load_file(HERE / f"roundtrip_{name}.safetensors"))
        out.put(f"{name}.y", model.double().eval()(images.double()))
    out.write()


def check(program):
    images = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(8))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        images.numpy().astype("<f4").tofile(folder / "x")
        subprocess.run([program, folder], check=True)
        for name, (net, _) in NETS.items():
            model = net()
            before = load_file(HERE / f"roundtrip_{name}.safetensors")
            after = load_file(folder / f"{name}.safetensors")
            assert list(map(str, sorted(before))) == list(map(str, sorted(after)))
            moved = [k for k in after if not torch.equal(after[k].double(), before[k].double()) and "batches" not in k]
            model.load_state_dict(after, strict=True)
            y = model.double().eval()(images.double()).detach()
            firn = torch.from_file(str(folder / f"{name}.logits"), size=y.numel()).view_as(y).double()
            worst = ((firn - y).abs() / (y.abs() + 1e-1 * y.abs().max())).max().item()
            print(f"{name}: {len(after)} tensors, {len(moved)} of them fine-tuned; logits differ by {worst:.1e} relative")
            assert worst < 1e-5 and 0 < len(moved) < len(after)


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1:2] == ["check"] else make()
