"""Makes the golden files: PyTorch's results in double precision, rounded to float32.

    python make_golden.py        (PyTorch 2.13; writes ops.txt ops.bin training.txt training.bin beside this script)

NAME.txt has a line an array: name, then its dimensions. NAME.bin holds the arrays' float32 values in the same order,
little-endian, nothing between them. golden.c reads this in forty lines.

ops       Case "conv2d.3" has attr (numbers; their meaning is in OPS below and in test_golden_ops.c), the inputs x w b ...,
          the output y, the target t, and the gradients dx dw db ... of mse(y, t). Where y is a scalar it is the loss itself.
training  Case "sgd_momentum.mlp" has config, the parameters before and after ten steps, and the loss of each step. The
          data are shared.
"""
import pathlib
import zlib

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent


class Golden:
    def __init__(self, name):
        self.name, self.lines, self.bytes = name, [], b""

    def put(self, name, array):
        a = torch.as_tensor(array).detach().to(torch.float32).contiguous()
        self.lines.append(" ".join([name, *map(str, a.shape)]))
        self.bytes += a.numpy().astype("<f4").tobytes()

    def write(self):
        (HERE / f"{self.name}.txt").write_text("\n".join(self.lines) + "\n")
        (HERE / f"{self.name}.bin").write_bytes(self.bytes)


def rand(name, *shape, low=-1.0, high=1.0):
    """Float32 values in double, a function of the name alone, so that a new case changes no other."""
    g = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return (torch.rand(*shape, generator=g, dtype=torch.float32) * (high - low) + low).double()


def emit(out, case, attr, inputs, run, states=()):
    """inputs: name -> value; those of floating type get a gradient, unless they are in states, which are put again as
    NAME_after."""
    wanted = {n: v.clone().requires_grad_() for n, v in inputs.items() if v.is_floating_point() and n not in states}
    now = {n: wanted.get(n, v.clone()) for n, v in inputs.items()}
    out.put(f"{case}.attr", torch.tensor([float(a) for a in attr]))
    for n, v in inputs.items():
        out.put(f"{case}.{n}", v)
    y = run(**now)
    out.put(f"{case}.y", y)
    loss = y
    if y.dim() > 0:
        # y - t stays away from zero, so that the gradient keeps its digits.
        u = rand(case + ".u", *y.shape)
        t = (y - (u + u.sign() * 0.5)).detach().float().double()
        out.put(f"{case}.t", t)
        loss = F.mse_loss(y, t)
    if wanted:
        for n, g in zip(wanted, torch.autograd.grad(loss, list(wanted.values()))):
            out.put(f"{case}.d{n}", g)
    for n in states:
        out.put(f"{case}.{n}_after", now[n])


def cases_of_ops(out):
    r = rand
    for i, factor in enumerate([1 / 255, -3.0]):
        bytes_ = (r(f"scale.{i}", 3, 4, 5) * 127 + 128).long()
        emit(out, f"scale_u8.{i}", [factor], {"x": bytes_}, lambda x: x.double() * torch.tensor(factor).float().double())
        emit(out, f"scale.{i}", [factor], {"x": r(f"s{i}", 3, 7)}, lambda x: x * torch.tensor(factor).float().double())

    for i, (n, a, o, bias) in enumerate([(1, 1, 1, 1), (3, 5, 4, 1), (7, 64, 10, 0), (33, 17, 19, 1), (128, 50, 5, 1)]):
        inputs = {"x": r(f"lx{i}", n, a), "w": r(f"lw{i}", o, a)}
        if bias:
            inputs["b"] = r(f"lb{i}", o)
        emit(out, f"linear.{i}", [], inputs, lambda x, w, b=None: F.linear(x, w, b))

    convs = [  # n c h w, o kh kw, stride pad dilation groups, bias
        (1, 1, 3, 3, 1, 1, 1, 1, 0, 1, 1, 1),
        (2, 1, 8, 9, 5, 3, 3, 1, 0, 1, 1, 1),
        (2, 3, 7, 6, 4, 3, 3, 1, 1, 1, 1, 1),
        (3, 4, 9, 8, 6, 3, 3, 2, 1, 1, 1, 0),
        (2, 4, 10, 11, 6, 3, 2, 1, 2, 2, 1, 1),
        (2, 6, 9, 9, 4, 5, 5, 3, 2, 1, 2, 1),
        (2, 6, 7, 8, 6, 3, 3, 1, 1, 1, 6, 1),
        (2, 4, 8, 8, 8, 3, 3, 2, 1, 1, 4, 0),
        (1, 2, 11, 10, 3, 3, 3, 2, 3, 3, 1, 1),
        (2, 33, 5, 5, 35, 1, 1, 1, 0, 1, 1, 1),
        (2, 16, 6, 7, 32, 3, 3, 1, 1, 1, 1, 1),
    ]
    for i, (n, c, h, w_, o, kh, kw, stride, pad, dilation, groups, bias) in enumerate(convs):
        inputs = {"x": r(f"cx{i}", n, c, h, w_), "w": r(f"cw{i}", o, c // groups, kh, kw)}
        if bias:
            inputs["b"] = r(f"cb{i}", o)
        emit(out, f"conv2d.{i}", [stride, pad, dilation, groups], inputs,
             lambda x, w, b=None: F.conv2d(x, w, b, stride, pad, dilation, groups))

    pools = [(2, 3, 8, 8, 2, 2), (1, 2, 7, 9, 2, 2), (2, 4, 9, 8, 3, 2), (2, 5, 6, 6, 3, 1), (1, 1, 5, 7, 5, 1),
             (2, 17, 4, 4, 2, 2)]
    for i, (n, c, h, w_, size, stride) in enumerate(pools):
        x = r(f"px{i}", n, c, h, w_)
        emit(out, f"max_pool2d.{i}", [size, stride], {"x": x}, lambda x: F.max_pool2d(x, size, stride))
        emit(out, f"avg_pool2d.{i}", [size, stride], {"x": x}, lambda x: F.avg_pool2d(x, size, stride))
        emit(out, f"global_avg_pool2d.{i}", [], {"x": x}, lambda x: x.mean((2, 3)))

    for i, shape in enumerate([(1, 1), (5, 33), (2, 3, 4, 5)]):
        x, z = r(f"ex{i}", *shape), r(f"ez{i}", *shape)
        emit(out, f"relu.{i}", [], {"x": x}, lambda x: F.relu(x))
        emit(out, f"add.{i}", [], {"x": x, "z": z}, lambda x, z: x + z)
        emit(out, f"mse.{i}", [], {"x": x, "z": z}, lambda x, z: F.mse_loss(x, z))
    for i, shape in enumerate([(2, 3, 4, 5), (1, 16, 2, 2), (3, 2, 3)]):
        x = r(f"fx{i}", *shape)
        emit(out, f"flatten.{i}", [1], {"x": x}, lambda x: x.flatten(1))
        rows = shape[0]
        emit(out, f"reshape.{i}", [x[0].numel() // 2, 2], {"x": x}, lambda x: x.reshape(rows, -1, 2))
    x = r("flatten2", 2, 3, 4, 5)
    emit(out, "flatten.3", [2], {"x": x}, lambda x: x.flatten(2))

    for i, (shape, spread) in enumerate([((3, 1), 1), ((4, 10), 5), ((2, 3, 7), 1), ((2, 33), 30)]):
        emit(out, f"softmax.{i}", [], {"x": r(f"sx{i}", *shape) * spread}, lambda x: F.softmax(x, -1))

    losses = [(1, 2, 0, None), (6, 5, 0, None), (7, 10, 0.1, None), (8, 3, 0, 2), (9, 4, 0.25, 7), (40, 33, 0.1, None)]
    for i, (n, c, smoothing, ignored) in enumerate(losses):
        label = (r(f"kl{i}", n, low=0.0, high=float(c))).long().clamp(0, c - 1)
        if ignored is not None:
            label[::3] = ignored
        emit(out, f"cross_entropy.{i}", [smoothing, ignored is not None, ignored or 0],
             {"x": r(f"kx{i}", n, c) * 3, "label": label},
             lambda x, label: F.cross_entropy(x, label, label_smoothing=float(torch.tensor(smoothing).float()),
                                              ignore_index=-100 if ignored is None else ignored))

    norms = [((4, 3), 1e-5, 0.1), ((2, 3, 4, 5), 1e-5, 0.1), ((3, 17, 2, 3), 1e-3, 0.3), ((16, 5), 1e-5, 0.5)]
    for i, (shape, eps, momentum) in enumerate(norms):
        c = shape[1]
        inputs = {"x": r(f"bx{i}", *shape), "w": r(f"bw{i}", c, low=0.5, high=1.5), "b": r(f"bb{i}", c),
                  "running_mean": r(f"bm{i}", c), "running_var": r(f"bv{i}", c, low=0.5, high=1.5)}
        eps, momentum = (float(torch.tensor(v).float()) for v in (eps, momentum))
        for name, training in [("batch_norm", True), ("batch_norm_frozen", False)]:
            emit(out, f"{name}.{i}", [eps, momentum], inputs,
                 lambda x, w, b, running_mean, running_var:
                     F.batch_norm(x, running_mean, running_var, w, b, training, momentum, eps),
                 states=("running_mean", "running_var"))


# The fields of firn_optim, and PyTorch's way to the same.
FIELDS = ["kind", "lr", "momentum", "beta1", "beta2", "rho", "eps", "weight_decay", "clip_norm", "nesterov"]
SGD, ADAM, ADAMW, ADADELTA, RMSPROP = range(5)
OPTIMIZERS = {
    "sgd": dict(kind=SGD, lr=0.1),
    "sgd_momentum": dict(kind=SGD, lr=0.05, momentum=0.9),
    "sgd_nesterov_decay": dict(kind=SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "sgd_clip": dict(kind=SGD, lr=0.1, momentum=0.5, clip_norm=0.25),
    "sgd_clip_never": dict(kind=SGD, lr=0.1, clip_norm=1000.0),
    "adam": dict(kind=ADAM, lr=0.01),
    "adam_decay": dict(kind=ADAM, lr=0.01, beta1=0.8, beta2=0.99, eps=1e-6, weight_decay=0.05),
    "adamw": dict(kind=ADAMW, lr=0.01, weight_decay=0.1),
    "adadelta": dict(kind=ADADELTA, lr=1.0, rho=0.95, eps=1e-7),
    "adadelta_decay": dict(kind=ADADELTA, lr=0.5, rho=0.9, eps=1e-6, weight_decay=0.01),
    "rmsprop": dict(kind=RMSPROP, lr=0.01),
    "rmsprop_momentum_decay": dict(kind=RMSPROP, lr=0.005, rho=0.9, momentum=0.9, weight_decay=0.01, eps=1e-6),
}
DEFAULTS = dict(momentum=0.0, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, clip_norm=0.0, nesterov=False)


def torch_optimizer(how, params):
    f = {k: float(torch.tensor(float(v)).float()) for k, v in how.items()}  # as firn holds them
    lr, wd, eps, betas = f["lr"], f["weight_decay"], f["eps"], (f["beta1"], f["beta2"])
    return {
        SGD: lambda: torch.optim.SGD(params, lr, f["momentum"], weight_decay=wd, nesterov=bool(f["nesterov"])),
        ADAM: lambda: torch.optim.Adam(params, lr, betas, eps, wd),
        ADAMW: lambda: torch.optim.AdamW(params, lr, betas, eps, wd),
        ADADELTA: lambda: torch.optim.Adadelta(params, lr, f["rho"], eps, wd),
        RMSPROP: lambda: torch.optim.RMSprop(params, lr, f["rho"], eps, wd, f["momentum"]),
    }[how["kind"]]()


def mlp(x, p):
    h = F.relu(F.linear(x.flatten(1), p["fc1.weight"], p["fc1.bias"]))
    return F.linear(h, p["fc2.weight"], p["fc2.bias"])


def cnn(x, p):
    h = F.max_pool2d(F.relu(F.conv2d(x, p["conv.weight"], p["conv.bias"], padding=1)), 2)
    return F.linear(h.flatten(1), p["fc.weight"], p["fc.bias"])


NETS = {
    "mlp": (mlp, {"fc1.weight": (12, 64), "fc1.bias": (12,), "fc2.weight": (4, 12), "fc2.bias": (4,)}),
    "cnn": (cnn, {"conv.weight": (5, 1, 3, 3), "conv.bias": (5,), "fc.weight": (4, 80), "fc.bias": (4,)}),
}
STEPS, BATCH = 10, 6


def cases_of_training(out):
    x = rand("train.x", STEPS * BATCH, 1, 8, 8)
    label = rand("train.label", STEPS * BATCH, low=0.0, high=4.0).long()
    out.put("x", x)
    out.put("label", label)
    for net_name, (net, shapes) in NETS.items():
        for n, s in shapes.items():
            out.put(f"{net_name}.{n}", rand(f"{net_name}.{n}", *s) * 0.3)
        for name, how in OPTIMIZERS.items():
            how = DEFAULTS | ({"rho": 0.99} if how["kind"] == RMSPROP else {"rho": 0.9}) | how
            params = {n: (rand(f"{net_name}.{n}", *s) * 0.3).float().double().requires_grad_() for n, s in shapes.items()}
            optimizer, losses = torch_optimizer(how, list(params.values())), []
            for step in range(STEPS):
                rows = slice(step * BATCH, (step + 1) * BATCH)
                loss = F.cross_entropy(net(x[rows], params), label[rows])
                optimizer.zero_grad()
                loss.backward()
                if how["clip_norm"] > 0:
                    torch.nn.utils.clip_grad_norm_(params.values(), how["clip_norm"])
                optimizer.step()
                losses.append(loss.item())
            case = f"{name}.{net_name}"
            out.put(f"{case}.config", [float(how[f]) for f in FIELDS])
            out.put(f"{case}.losses", losses)
            for n, p in params.items():
                out.put(f"{case}.{n}", p)


for name, cases in [("ops", cases_of_ops), ("training", cases_of_training)]:
    golden = Golden(name)
    cases(golden)
    golden.write()
