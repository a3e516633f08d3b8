#!/usr/bin/env python3
"""firn against PyTorch on the same nets, in turn, on the same threads.

    compare_torch.py [step] [--net NAME] [--mode MODE] [--threads N] [--rounds N] [--compile] [--cpu] [--build DIR]

A line a net, mode and number of threads: the median milliseconds of both and the median over the rounds of PyTorch's time
over ours. PyTorch keeps the memory it has, takes its fused optimizers where it has them, and is measured with images
channels first and channels last, of which the faster counts. --cpu takes processor time instead of the clock's: for one
thread on a machine that others use as well. DIR is where bench_step and bench_finetune are.

    compare_torch.py finetune [--net cnn|resnet_bn] [--epochs N] [--threads N] [--rounds N] [--cpu] [--build DIR]

The fine-tuning phase on MNIST's digits 5 to 9 (bench_finetune.c), each run a process of its own: firn with the features
cached, frozen and with nothing frozen; PyTorch with requires_grad_(False), and with the features cached by hand. Seconds of
the phase (filling the cache included), seconds since the process was started, and the most memory that was resident.
"""
import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_MMAP_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "67108864",
}
OUR_ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in KEEP_MEMORY}
if any(os.environ.get(name) != value for name, value in KEEP_MEMORY.items()):
    os.execve(sys.executable, [sys.executable] + sys.argv, {**os.environ, **KEEP_MEMORY})

import torch
from torch import nn
from torch.nn import functional as F

from torch_nets import NETS, below, freeze

MODES = ("full", "half", "last", "infer1", "infer128")
ROUND_SECONDS = 0.3


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
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=OUR_ENVIRONMENT)
    return json.loads(done.stdout)[0]["ms"]


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


# ---- the fine-tuning phase: PyTorch's side, in a process of its own ----

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/data/mnist")
FROZEN_PART = {"cnn": ("features",), "resnet_bn": ("conv1", "bn1", "layer1", "layer2")}


def read_digits(kind):
    """Images as bytes and labels of the digits from 5 on, counted from zero."""
    def read(name, header):
        with gzip.open(os.path.join(DATA, f"{kind}-{name}-ubyte.gz")) as f:
            return torch.frombuffer(bytearray(f.read()[header:]), dtype=torch.uint8)
    labels = read("labels-idx1", 8)
    upper = labels >= 5
    return read("images-idx3", 16).view(-1, 1, 28, 28)[upper], labels[upper].long() - 5


def floats(images):
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


def split_net(model, net):
    """What is frozen, and the rest."""
    if net == "cnn":
        return model.features[:5], nn.Sequential(model.features[5], nn.Flatten(), model.head)
    first = nn.Sequential(model.conv1, model.bn1, nn.ReLU(True), model.layer1, model.layer2)
    return first, nn.Sequential(model.layer3, nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.fc)


@torch.no_grad()
def cache_features(first, images, net):
    """A row a sample, in the order in which the rest of the net wants them: flat, or channels last."""
    kept = None
    for begin in range(0, len(images), 128):
        part = first(floats(images[begin:begin + 128]))
        part = part.flatten(1) if net == "cnn" else part.permute(0, 2, 3, 1)
        if kept is None:
            kept = torch.empty(len(images), *part.shape[1:])
        kept[begin:begin + len(part)] = part
    return kept


def fit(args, batch, count, loss_of, opt):
    for _ in range(args.epochs):
        for rows in torch.randperm(count).split(batch):
            opt.zero_grad(set_to_none=True)
            loss_of(rows).backward()
            opt.step()


def peak_kb():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))


def finetune_in_torch(args):
    """As bench_finetune.c, which says what is printed."""
    from safetensors.torch import load_file
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    make, batch, optimizer, _, _ = NETS[args.net]
    model = make(5)
    model.load_state_dict(load_file(args.weights))
    model = model.to(memory_format=torch.channels_last).train()
    freeze(model, lambda name: below(name, FROZEN_PART[args.net]))
    opt = optimizer([p for p in model.parameters() if p.requires_grad])
    images, labels = read_digits("train")
    begin, cpu = time.perf_counter(), time.process_time()
    if args.torch == "cached":
        first, rest = split_net(model, args.net)
        kept = cache_features(first, images, args.net)
        order = (lambda x: x) if args.net == "cnn" else (lambda x: x.permute(0, 3, 1, 2))
        fit(args, batch, len(images), lambda rows: F.cross_entropy(rest(order(kept[rows])), labels[rows]), opt)
    else:
        fit(args, batch, len(images), lambda rows: F.cross_entropy(model(floats(images[rows])), labels[rows]), opt)
    print(f"seconds {time.perf_counter() - begin:.3f}\ncpu {time.process_time() - cpu:.3f}\n"
          f"cpu_total {time.process_time():.3f}\npeak_kb {peak_kb()}", flush=True)
    images, labels = read_digits("t10k")
    model.eval()
    with torch.inference_mode():
        hits = sum((model(floats(x)).argmax(1) == y).sum().item() for x, y in zip(images.split(1000), labels.split(1000)))
    print(f"accuracy {hits / len(images):.4f}")


# ---- and both sides in turn ----

def run_phase(command):
    """What it prints, and the seconds from its start to the end of the training."""
    begin, result = time.perf_counter(), {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=OUR_ENVIRONMENT) as process:
        for line in process.stdout:
            name, value = line.split()
            result[name] = float(value)
            if name == "peak_kb":
                result["total"] = time.perf_counter() - begin
    if process.returncode != 0:
        sys.exit("failed: " + " ".join(command))
    return result


def compare_finetune(args):
    ours = os.path.join(args.build, "bench_finetune")
    net = args.net or "cnn"
    with tempfile.TemporaryDirectory() as folder:
        weights = os.path.join(folder, "weights.safetensors")
        job = ["--weights", weights, "--net", net, "--threads", str(args.threads or 1), "--epochs"]
        run_phase([ours, "pretrain"] + job + ["2"])
        job.append(str(args.epochs))
        this = [sys.executable, os.path.abspath(__file__), "finetune"]
        runs = {"firn cached": [ours, "cached"] + job, "firn frozen": [ours, "frozen"] + job, "firn full": [ours, "full"] + job,
                "torch frozen": this + job + ["--torch", "frozen"], "torch cached": this + job + ["--torch", "cached"]}
        rounds = {name: [] for name in runs}
        for _ in range(args.rounds):
            for name, command in runs.items():
                rounds[name].append(run_phase(command))
    phase, total = ("cpu", "cpu_total") if args.cpu else ("seconds", "total")
    print(f"{net}, {args.epochs} epochs, {args.threads or 1} threads   seconds  with start     peak MB  accuracy   over firn cached")

    def middle(name, key):
        return statistics.median(r[key] for r in rounds[name])

    def over(name, key):
        return statistics.median(r[key] / o[key] for r, o in zip(rounds[name], rounds["firn cached"]))
    for name in runs:
        print(f"{name:<30} {middle(name, phase):8.2f} {middle(name, total):11.2f} {middle(name, 'peak_kb') / 1024:11.1f} "
              f"{100 * middle(name, 'accuracy'):9.2f} {over(name, phase):9.2f}, with start {over(name, total):.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="step", choices=["step", "finetune"])
    parser.add_argument("--net", choices=NETS)
    parser.add_argument("--mode", choices=MODES)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--build", default="build/tests/tests")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--weights", help=argparse.SUPPRESS)
    parser.add_argument("--torch", help=argparse.SUPPRESS, choices=["frozen", "cached"])
    args = parser.parse_args()
    if args.torch:
        finetune_in_torch(args)
    elif args.what == "finetune":
        compare_finetune(args)
    else:
        compare_steps(args)


if __name__ == "__main__":
    main()
