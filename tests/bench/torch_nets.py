"""The nets of nets.c in PyTorch, by the same names."""
import torch
from torch import nn
from torch.nn import functional as F


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


def below(name, layers):
    return any(name == layer or name.startswith(layer + ".") for layer in layers)


def freeze(model, frozen):
    """As firn_freeze(): no gradients, and frozen batch norm as in inference."""
    for name, layer in model.named_modules():
        if frozen(name) and isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    for name, p in model.named_parameters():
        p.requires_grad_(not frozen(name))
