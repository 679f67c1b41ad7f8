"""What is compared: cases, and for each the programs with their command lines."""
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


@dataclass(frozen=True)
class Case:
    name: str
    # cifar10, mlp, or input for the pipeline of examples without a model.
    model: str
    cores: int
    batch: int = 128


def case(model, cores, batch=128):
    suffix = "" if batch == 128 else f"-batch{batch}"
    return Case(f"{model}-{cores}{suffix}", model, cores, batch)


GROUPS = {
    "cifar10": [case("cifar10", 1), case("cifar10", 2)],
    "cifar10-batches": [case("cifar10", 2, batch) for batch in [16, 32, 64, 256, 512]],
    "mlp": [case("mlp", 1), case("mlp", 2)],
    "input": [case("input", 1), case("input", 2)],
}
DEFAULT = ["cifar10", "mlp", "input"]


def named(names):
    """The cases that `names` of groups and of cases mean, each once."""
    every = {case.name: [case] for group in GROUPS.values() for case in group}
    known = every | GROUPS
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"compare: no case {unknown[0]!r}; there are {', '.join(known)}")
    return list(dict.fromkeys(case for name in names for case in known[name]))


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple
    # The numerator of ratios; the others are peers.
    is_xrun: bool = False


class Programs:
    """The programs of a case, from the interpreters and executables that there are."""

    def __init__(self, asked):
        self.asked = asked
        self.executables = {}

    def build(self, cases):
        """Builds xrun's own side, with all cores and once."""
        for bench in dict.fromkeys("input" if case.model == "input" else "step" for case in cases):
            self.executables[bench] = built(bench, self.asked.features)

    def of(self, case, cores):
        listed = ",".join(map(str, cores))
        if case.model == "input":
            windows = ["--windows", str(self.asked.windows)]
            own = [self.executables["input"], "--pipeline", "--cores", listed, *windows]
            return [Program("xrun", tuple(own), True), *self.peers(case, windows)]
        steps = ["--batch", str(case.batch), "--steps", str(self.asked.steps), "--warmup", str(self.asked.warmup)]
        own = [self.executables["step"], "--model", case.model, "--cores", listed, "--check", *steps]
        if case.model != "cifar10":
            return [Program("xrun", tuple(own), True), *self.peers(case, steps)]
        ways = [
            Program(f"xrun {way}", (*own, "--convolution", way), True) for way in self.asked.convolution.split(",")
        ]
        return [*ways, *self.peers(case, steps)]

    def peers(self, case, lengths):
        scripts = {
            "cifar10": [("tensorflow", "tensorflow_cifar10.py"), ("pytorch", "pytorch_cifar10.py")],
            "mlp": [("tensorflow", "tensorflow_mlp.py")],
            "input": [("tf.data", "tf_data.py")],
        }
        for name, script in scripts[case.model]:
            python = self.asked.pytorch if name == "pytorch" else self.asked.python
            if python is not None:
                command = (python, str(HERE / script), "--threads", str(case.cores), *lengths)
                yield Program(name, command)


def built(bench, features):
    """The path of a benchmark's executable, after cargo has built it with these features."""
    command = ["cargo", "bench", "--bench", bench, "--features", features, "--no-run", "--message-format=json"]
    try:
        cargo = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise SystemExit("compare: cargo is not installed, and xrun's own side needs it")
    for line in cargo.stdout.splitlines():
        message = json.loads(line)
        target = message.get("target", {})
        if target.get("name") == bench and "bench" in target["kind"] and message["executable"]:
            return message["executable"]
    raise SystemExit(f"compare: `{' '.join(command)}` gave no executable")
