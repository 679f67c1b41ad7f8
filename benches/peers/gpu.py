"""Measures xrun and PyTorch's modes in turn on one GPU, and prints the ratios of each round.

    python3 benches/peers/gpu.py --pytorch VENV/bin/python --step-binary STEP

Of each batch, with TF32 off on both sides and on on both sides: xrun with a CUDA graph, and PyTorch eager, compiled
and captured in a CUDA graph. PyTorch's processes live on from round to round, since importing and compiling take
longer than measuring; only one process has work at a time.
"""
import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import table
from cases import HERE, Case, Program, built
from compare import Failed, rate, run

MODES = ["eager", "compile", "graph"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pytorch", default=sys.executable, help="interpreter with PyTorch for CUDA")
    parser.add_argument("--step-binary", help="the benchmark `step`, built before; else cargo builds it")
    parser.add_argument("--features", default="cuda,cudnn", help="cargo features of xrun's side")
    parser.add_argument("--gpu", default="first", help="UUID of the GPU for xrun; PyTorch takes the first that it sees")
    parser.add_argument("--batches", default="128,1024")
    parser.add_argument("--tf32", choices=["off", "on", "both"], default="both")
    parser.add_argument("--modes", default=",".join(MODES), help="of PyTorch")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=500, help="steps that are timed in a round")
    parser.add_argument("--warmup", type=int, default=50, help="steps before them")
    parser.add_argument("--cores", default="0,1", help="cores of xrun's host threads")
    parser.add_argument("--limit", type=float, default=240.0, help="seconds until a process is ready, and of a round")
    parser.add_argument("--seed", type=int, default=1, help="of the order within rounds")
    parser.add_argument("--csv", type=Path, help="file for one row for each measurement")
    return parser.parse_args()


@dataclass(frozen=True)
class Setting:
    batch: int
    tf32: bool

    def case(self):
        suffix = "-tf32" if self.tf32 else ""
        return Case(f"gpu-{self.batch}{suffix}", "cifar10", 1, self.batch)

    def lengths(self, asked):
        lengths = ["--batch", self.batch, "--steps", asked.steps, "--warmup", asked.warmup]
        return [str(word) for word in lengths] + (["--tf32"] if self.tf32 else [])


class Xrun:
    """A fresh process for each measurement."""

    name, is_xrun = "xrun", True

    def __init__(self, asked, setting, binary):
        self.command = [binary, "--gpu", asked.gpu, "--cores", asked.cores, *setting.lengths(asked)]
        self.cores, self.limit = {int(core) for core in asked.cores.split(",")}, asked.limit

    def measure(self):
        return run(self.command, self.cores, self.limit)

    def end(self):
        pass


class Pytorch:
    """A process that measures whenever it is told to."""

    is_xrun = False

    def __init__(self, asked, setting, mode):
        self.name, self.limit = f"pytorch {mode}", asked.limit
        script = [asked.pytorch, str(HERE / "pytorch_cifar10.py"), "--device", "cuda", "--mode", mode, "--serve"]
        self.said = tempfile.TemporaryFile(mode="w+")
        try:
            command = script + setting.lengths(asked)
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.said, text=True)
        except OSError as error:
            raise SystemExit(f"gpu: cannot start {asked.pytorch}: {error.strerror}")

    def line(self):
        """The next line that it prints, after at most so long."""
        timer = threading.Timer(self.limit, self.process.kill)
        timer.start()
        text = self.process.stdout.readline()
        timer.cancel()
        try:
            return json.loads(text)
        except ValueError:
            raise Failed(self.last_words())

    def last_words(self):
        self.end()
        self.said.seek(0)
        lines = self.said.read().strip().splitlines()[-1:] or ["and says nothing"]
        return f"ended with {self.process.returncode}: {lines[0]}"

    def measure(self):
        try:
            self.process.stdin.write("again\n")
            self.process.stdin.flush()
        except OSError:
            raise Failed(self.last_words())
        return self.line()

    def end(self):
        self.process.kill()
        self.process.wait()


class Comparison:
    def __init__(self, asked):
        self.asked, self.order = asked, random.Random(asked.seed)
        binary = asked.step_binary or built("step", asked.features)
        words = {"off": [False], "on": [True], "both": [False, True]}[asked.tf32]
        self.settings = [Setting(int(batch), tf32) for batch in asked.batches.split(",") for tf32 in words]
        self.programs = {
            setting: [Xrun(asked, setting, binary)] + [Pytorch(asked, setting, mode) for mode in asked.modes.split(",")]
            for setting in self.settings
        }
        self.results = {setting: table.Results() for setting in self.settings}

    def leave_out(self, setting, program, failed):
        self.programs[setting].remove(program)
        print(f"{setting.case().name}: {program.name} is left out: {failed}", file=sys.stderr)

    def wait(self):
        """Until every process of PyTorch is ready."""
        for setting, programs in self.programs.items():
            for program in [program for program in programs if not program.is_xrun]:
                try:
                    program.line()
                except Failed as failed:
                    self.leave_out(setting, program, failed)

    def round(self, number, write):
        for setting in self.order.sample(self.settings, len(self.settings)):
            for program in self.order.sample(self.programs[setting], len(self.programs[setting])):
                try:
                    line = program.measure()
                    examples = rate(line)
                except Failed as failed:
                    self.leave_out(setting, program, failed)
                    continue
                self.results[setting].add(number, Program(program.name, (), program.is_xrun), line, examples)
                write([setting.batch, setting.tf32, number, program.name, f"{examples:.1f}"])

    def measure(self, write):
        write(["batch", "tf32", "round", "program", "examples_per_second"])
        self.wait()
        for number in range(1, self.asked.rounds + 1):
            self.round(number, write)
            print(f"round {number} of {self.asked.rounds} is done", file=sys.stderr)

    def end(self):
        for program in [program for programs in self.programs.values() for program in programs]:
            program.end()

    def report(self):
        """Prints all tables; true where xrun and a peer gave figures everywhere."""
        return all([report(setting, self.results[setting]) for setting in self.settings])


def report(setting, results):
    """Prints one table and xrun over the best mode; whether there was something to compare."""
    print(table.text(setting.case(), None, results))
    best = table.best_peer(results)
    if best is None or not results.xrun:
        print("  nothing to compare: one side gave no figure")
        return False
    found = table.against(results, "xrun", best)
    print(f"  over the best mode of PyTorch:{found.removeprefix('  xrun /')}")
    return True


def main():
    asked = arguments()
    comparison = Comparison(asked)
    try:
        if asked.csv is None:
            comparison.measure(lambda row: None)
        else:
            with asked.csv.open("w", newline="") as file:
                comparison.measure(csv.writer(file).writerow)
    finally:
        comparison.end()
    if not comparison.report():
        raise SystemExit("gpu: not every comparison has both sides")


if __name__ == "__main__":
    main()
