#!/usr/bin/env python3
"""firn against PyTorch on the same nets, in turn, on the same threads.

    compare_torch.py [step] [--net NAME] [--mode MODE] [--threads N] [--rounds N] [--compile] [--cpu] [--build DIR]

A line a net, mode and number of threads: the median milliseconds of both and the median over the rounds of PyTorch's time
over ours. PyTorch keeps the memory it has, takes its fused optimizers where it has them, and is measured with images
channels first and channels last, of which the faster counts. --cpu takes processor time instead of the clock's: for one
thread on a machine that others use as well. DIR is where bench_step is.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_MMAP_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "67108864",
}
if any(os.environ.get(name) != value for name, value in KEEP_MEMORY.items()):
    os.execve(sys.executable, [sys.executable] + sys.argv, {**os.environ, **KEEP_MEMORY})

import torch
from torch import nn
from torch.nn import functional as F

ROUND_SECONDS = 0.3


# ---- the nets of nets.c, by the same names ----

class Mlp(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 512), nn.Linear(512, 512), nn.Linear(512, classes)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class Cnn(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(True), nn.Conv2d(32, 32, 3), nn.ReLU(True),
                                      nn.MaxPool2d(2), nn.Dropout(0.25))
        self.head = nn.Sequential(nn.Linear(4608, 128), nn.ReLU(True), nn.Dropout(0.5), nn.Linear(128, classes))
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


class LeNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Block(nn.Module):
    def __init__(self, inputs, out, stride, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, out, 3, stride, 1, bias=not norm)
        self.bn1 = nn.BatchNorm2d(out) if norm else nn.Identity()
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=not norm)
        self.bn2 = nn.BatchNorm2d(out) if norm else nn.Identity()
        self.downsample = nn.Sequential()
        if stride > 1:
            self.downsample.append(nn.Conv2d(inputs, out, 1, stride, bias=not norm))
            if norm:
                self.downsample.append(nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        return F.relu(y + self.downsample(x), inplace=True)


class ResNet(nn.Module):
    def __init__(self, classes, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, 1, 1, bias=not norm)
        self.bn1 = nn.BatchNorm2d(16) if norm else nn.Identity()
        self.layer1 = nn.Sequential(Block(16, 16, 1, norm), Block(16, 16, 1, norm))
        self.layer2 = nn.Sequential(Block(16, 32, 2, norm), Block(32, 32, 1, norm))
        self.layer3 = nn.Sequential(Block(32, 64, 2, norm), Block(64, 64, 1, norm))
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


RESNET_HALF = ("conv1", "bn1", "layer1", "layer2.0")


def sgd(params):
    return torch.optim.SGD(params, 0.01, momentum=0.9, fused=True)


def adam(params):
    return torch.optim.Adam(params, 0.001, fused=True)


def adadelta(params):
    return torch.optim.Adadelta(params, 1.0, rho=0.95, eps=1e-7)


# name: make, batch, optimizer, first half, last layer
NETS = {
    "mlp": (Mlp, 128, sgd, ("fc1",), ("fc3",)),
    "cnn": (Cnn, 128, adadelta, ("features",), ("head.3",)),
    "lenet": (LeNet, 64, adam, ("conv1", "conv2"), ("fc3",)),
    "resnet": (lambda classes: ResNet(classes, False), 64, sgd, RESNET_HALF, ("fc",)),
    "resnet_bn": (lambda classes: ResNet(classes, True), 64, sgd, RESNET_HALF, ("fc",)),
}
MODES = ("full", "half", "last", "infer1", "infer128")


def below(name, layers):
    return any(name == layer or name.startswith(layer + ".") for layer in layers)


def freeze(model, frozen):
    """As firn_freeze(): no gradients, and frozen batch norm as in inference."""
    for name, layer in model.named_modules():
        if frozen(name) and isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    for name, p in model.named_parameters():
        p.requires_grad_(not frozen(name))


# ---- a step of PyTorch's ----

def torch_step(net, mode, channels_last, compiled):
    """A function that does one step."""
    make, batch, optimizer, half, last = NETS[net]
    torch.manual_seed(1)
    model = make(10)
    if mode.startswith("infer"):
        batch = int(mode[5:])
    images = torch.rand(1024, 1, 28, 28)
    labels = torch.randint(10, (1024,))
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    batches = list(zip(images.split(batch), labels.split(batch)))
    at = 0

    def feed():
        nonlocal at
        at = (at + 1) % len(batches)
        return batches[at]

    if mode.startswith("infer"):
        model.eval()
        run = torch.compile(model) if compiled else model

        def infer():
            with torch.inference_mode():
                run(feed()[0])
        return infer
    model.train()
    if mode == "half":
        freeze(model, lambda name: below(name, half))
    if mode == "last":
        freeze(model, lambda name: not below(name, last))
    opt = optimizer([p for p in model.parameters() if p.requires_grad])
    run = torch.compile(model) if compiled else model

    def train():
        x, y = feed()
        opt.zero_grad(set_to_none=True)
        F.cross_entropy(run(x), y).backward()
        opt.step()
    return train


def milliseconds(step, clock):
    """Median of the steps that fit in a round."""
    step()
    spent, begin = [], clock()
    while len(spent) < 3 or clock() - begin < ROUND_SECONDS:
        before = clock()
        step()
        spent.append(clock() - before)
    return 1e3 * statistics.median(spent)


# ---- ours ----

def firn_milliseconds(args, net, mode, threads):
    command = [os.path.join(args.build, "bench_step"), "--json", "--net", net, "--mode", mode, "--threads", str(threads),
               "--rounds", "1"] + ["--cpu"] * args.cpu
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)[0]["ms"]


def compare(args, net, mode, threads):
    torch.set_num_threads(threads)
    clock = time.process_time if args.cpu else time.perf_counter
    rivals = {"first": torch_step(net, mode, False, False)}
    if net != "mlp":
        rivals["last"] = torch_step(net, mode, True, False)
    if args.compile:
        torch._dynamo.reset()
        rivals["compiled"] = torch_step(net, mode, net != "mlp", True)
    for step in rivals.values():
        step()
        step()
    ours, theirs = [], {name: [] for name in rivals}
    for _ in range(args.rounds):
        ours.append(firn_milliseconds(args, net, mode, threads))
        for name, step in rivals.items():
            theirs[name].append(milliseconds(step, clock))
    best = min((name for name in theirs if name != "compiled"), key=lambda name: statistics.median(theirs[name]))

    def ratio(name):
        return statistics.median(t / o for t, o in zip(theirs[name], ours))
    line = (f"{net:<10} {mode:<9} {threads:7d} {statistics.median(ours):10.3f} {statistics.median(theirs[best]):10.3f} "
            f"{ratio(best):7.2f}  {best:<6}")
    print(line + (f" {ratio('compiled'):9.2f}" if args.compile else ""), flush=True)


def compare_steps(args):
    print("net        mode      threads    firn ms   torch ms   ratio  layout" + "  compiled" * args.compile)
    for net in [args.net] if args.net else NETS:
        for mode in [args.mode] if args.mode else MODES:
            for threads in [args.threads] if args.threads else (1, 2):
                compare(args, net, mode, threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="step", choices=["step"])
    parser.add_argument("--net", choices=NETS)
    parser.add_argument("--mode", choices=MODES)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--build", default="build/tests/tests")
    compare_steps(parser.parse_args())


if __name__ == "__main__":
    main()
