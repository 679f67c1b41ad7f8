"""Peer of `cifar10`: the same network in PyTorch on one batch that stays in memory.

Images lie as (row, column, channel), which is PyTorch's faster layout for it on CPUs. On a GPU a step is launched
operation by operation (`eager`), compiled (`compile`) or captured in one CUDA graph (`graph`).
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
    def __init__(self, batch, device="cpu", mode="eager"):
        torch.manual_seed(1)
        self.network = Cifar10().to(device).to(memory_format=torch.channels_last)
        self.weights = list(self.network.parameters())
        self.averages = [weight.detach().clone() for weight in self.weights]
        self.descent = self.rule(fused=device == "cuda" and mode != "compile")
        self.images = torch.randn(batch, 3, 24, 24, device=device).to(memory_format=torch.channels_last)
        self.labels = torch.randint(0, 10, (batch,), device=device)
        self.steps = 0

    def rule(self, fused):
        decayed = [self.network.local3.weight, self.network.local4.weight]
        others = [weight for weight in self.weights if all(weight is not other for other in decayed)]
        # Its weight decay adds `decay · w` to the gradient: what half a square in the loss gives.
        groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others}]
        # One kernel for all variables; the compiler makes its own.
        return torch.optim.SGD(groups, lr=0.1, fused=fused or None)

    def step(self):
        self.train(min(AVERAGE_DECAY, (2 + self.steps) / (11 + self.steps)))
        self.steps += 1

    def train(self, decay):
        self.descent.zero_grad()
        F.cross_entropy(self.network(self.images), self.labels).backward()
        self.descent.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.weights, 1.0 - decay)

    def steady_step(self):
        """A step with the decay that averages have in the end: what is compiled or captured takes no new numbers."""
        self.train(AVERAGE_DECAY)


def captured(step):
    """Replays `step` as one CUDA graph, whose gradients lie in memory of its own."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def step_on_gpu(asked):
    """A step of a trainer in the mode that is asked for."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = asked.tf32
    torch.backends.cudnn.benchmark = True
    step = Trainer(asked.batch, "cuda", asked.mode).steady_step
    ways = {"eager": lambda step: step, "compile": torch.compile, "graph": captured}
    return ways[asked.mode](step)


def arguments():
    parser = peer.parser(__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--mode", choices=["eager", "compile", "graph"], default="eager", help="on a GPU")
    parser.add_argument("--tf32", action="store_true", help="let a GPU round the factors of products to TF32")
    parser.add_argument("--window", type=int, default=50, help="steps on a GPU between two times that it is waited for")
    parser.add_argument("--serve", action="store_true", help="on a GPU: time steps for each line on stdin")
    return parser.parse_args()


def main():
    asked = arguments()
    torch.set_num_threads(asked.threads)
    if asked.device == "cpu":
        return peer.measure("pytorch", torch.__version__, asked, Trainer(asked.batch).step)
    if not torch.cuda.is_available():
        raise SystemExit("pytorch_cifar10: skipped: no CUDA device")
    time_steps = peer.serve if asked.serve else peer.measure
    step = step_on_gpu(asked)
    time_steps(f"pytorch {asked.mode}", torch.__version__, asked, step, asked.window, torch.cuda.synchronize)


if __name__ == "__main__":
    main()
