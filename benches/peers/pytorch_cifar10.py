"""Peer of `cifar10`: the same network in PyTorch, eager, on one batch that stays in memory.

Images lie as (row, column, channel), which is PyTorch's faster layout for it on CPUs.
"""
import torch
from torch import nn
from torch.nn import functional as F

import peer

WEIGHT_DECAY = 0.004
AVERAGE_DECAY = 0.9999


def norm(x):
    # PyTorch divides alpha by the size of the window; the tutorial's 0.001 / 9 is what is left then.
    return F.local_response_norm(x, size=9, alpha=0.001, beta=0.75, k=1.0)


def pool(x):
    # After a rectifier zero is as good as no value: the padding of TensorFlow's SAME, one at the end.
    return F.max_pool2d(F.pad(x, (0, 1, 0, 1)), kernel_size=3, stride=2)


class Cifar10(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(64, 64, kernel_size=5, padding=2)
        self.local3 = nn.Linear(6 * 6 * 64, 384)
        self.local4 = nn.Linear(384, 192)
        self.softmax_linear = nn.Linear(192, 10)
        deviations = [0.05, 0.05, 0.04, 0.04, 1.0 / 192.0]
        for layer, deviation, bias in zip(self.children(), deviations, [0.0, 0.1, 0.1, 0.1, 0.0]):
            nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            nn.init.constant_(layer.bias, bias)

    def forward(self, x):
        x = norm(pool(F.relu(self.conv1(x))))
        x = pool(norm(F.relu(self.conv2(x)))).flatten(start_dim=1)
        return self.softmax_linear(F.relu(self.local4(F.relu(self.local3(x)))))


class Trainer:
    def __init__(self, batch):
        torch.manual_seed(1)
        self.network = Cifar10().to(memory_format=torch.channels_last)
        self.weights = list(self.network.parameters())
        self.averages = [weight.detach().clone() for weight in self.weights]
        decayed = [self.network.local3.weight, self.network.local4.weight]
        others = [weight for weight in self.weights if all(weight is not other for other in decayed)]
        # Its weight decay adds `decay · w` to the gradient: what half a square in the loss gives.
        groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others}]
        self.descent = torch.optim.SGD(groups, lr=0.1)
        self.images = torch.randn(batch, 3, 24, 24).to(memory_format=torch.channels_last)
        self.labels = torch.randint(0, 10, (batch,))
        self.steps = 0

    def step(self):
        self.descent.zero_grad()
        F.cross_entropy(self.network(self.images), self.labels).backward()
        self.descent.step()
        self.steps += 1
        decay = min(AVERAGE_DECAY, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.weights, 1.0 - decay)


if __name__ == "__main__":
    asked = peer.arguments(__doc__)
    torch.set_num_threads(asked.threads)
    peer.measure("pytorch", torch.__version__, asked, Trainer(asked.batch).step)
