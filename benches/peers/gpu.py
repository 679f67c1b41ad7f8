"""Measures xrun and PyTorch's modes in turn on one GPU, and prints the ratios of each round.

    python3 benches/peers/gpu.py --pytorch VENV/bin/python --step-binary STEP

Of each batch, with TF32 off on both sides and on on both sides: xrun with a CUDA graph, and PyTorch eager, compiled
and captured in a CUDA graph. PyTorch's processes live on from round to round, since importing and compiling take
longer than measuring. Only one process has work at a time, in set-up too: one that picked its algorithms while others
use the GPU would be slow in every round. All run on the same GPU.
"""
import argparse
import csv
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
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
    parser.add_argument("--gpu", default="first", help="UUID of the GPU, or the first by PCI bus")
    parser.add_argument("--batches", default="128,1024")
    parser.add_argument("--tf32", choices=["off", "on", "both"], default="both")
    parser.add_argument("--modes", default=",".join(MODES), help="of PyTorch")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=500, help="steps that are timed in a round")
    parser.add_argument("--warmup", type=int, default=50, help="steps before them")
    parser.add_argument("--cores", help="cores of xrun's host threads; else the first two of this process")
    parser.add_argument("--limit", type=float, default=240.0, help="seconds until a process is ready or has measured")
    parser.add_argument("--seconds", type=float, default=math.inf, help="no round is started that would end later")
    parser.add_argument("--seed", type=int, default=1, help="of the order within rounds")
    parser.add_argument("--csv", type=Path, help="file for one row for each measurement")
    asked = parser.parse_args()
    asked.cores = cores(asked.cores)
    return asked


def cores(named):
    """The cores that are named, or two of those that this process may use, which in a container need not be 0 and 1."""
    allowed = sorted(os.sched_getaffinity(0))
    if named is None:
        if len(allowed) < 2:
            raise SystemExit(f"gpu: this process may use core {allowed[0]} alone, and xrun takes two: set --cores")
        return allowed[:2]
    asked = [int(core) for core in named.split(",")]
    absent = set(asked) - set(allowed)
    if absent:
        raise SystemExit(f"gpu: core {min(absent)} is not one of this process: set --cores")
    return asked


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


def on_gpu(asked, binary):
    """The command of xrun's side, but for its lengths."""
    return [binary, "--gpu", asked.gpu, "--cores", ",".join(map(str, asked.cores))]


def uuid(asked, binary):
    """Of the GPU that `--gpu` means, by a short run of xrun. It is then the only one that PyTorch sees."""
    command = [*on_gpu(asked, binary), "--batch", "16", "--steps", "10"]
    try:
        line = run(command, asked.cores, asked.limit)
    except Failed as failed:
        raise SystemExit(f"gpu: xrun does not run on a GPU: {failed}")
    if not line.get("gpu"):
        raise SystemExit(f"gpu: {binary} does not say which GPU it has used")
    return line["gpu"]["uuid"]


class Xrun:
    """A fresh process for each measurement."""

    name, is_xrun = "xrun", True

    def __init__(self, asked, setting, binary):
        self.command = [*on_gpu(asked, binary), *setting.lengths(asked)]
        self.cores, self.limit = asked.cores, asked.limit

    def set_up(self):
        pass

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
        self.command = script + setting.lengths(asked)
        self.environment = os.environ | {"CUDA_VISIBLE_DEVICES": asked.gpu}
        self.process = None

    def set_up(self):
        """Starts it, and waits until it says that it is ready."""
        self.said = tempfile.TemporaryFile(mode="w+")
        pipe = subprocess.PIPE
        try:
            self.process = subprocess.Popen(
                self.command, stdin=pipe, stdout=pipe, stderr=self.said, text=True, env=self.environment
            )
        except OSError as error:
            raise SystemExit(f"gpu: cannot start {self.command[0]}: {error.strerror}")
        self.line()

    def line(self):
        """The next line that it prints, after at most so long."""
        timer = threading.Timer(self.limit, self.process.kill)
        timer.start()
        try:
            text = self.process.stdout.readline()
        finally:
            timer.cancel()  # or Python would not end before it after an interrupt
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
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Comparison:
    def __init__(self, asked):
        self.asked, self.order = asked, random.Random(asked.seed)
        binary = asked.step_binary or built("step", asked.features)
        asked.gpu = uuid(asked, binary)
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

    def set_up(self):
        """One program after the other."""
        for setting, programs in self.programs.items():
            for program in list(programs):
                try:
                    program.set_up()
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
        started = time.monotonic()
        self.set_up()
        print(f"all are set up after {time.monotonic() - started:.0f} s", file=sys.stderr)
        for number in range(1, self.asked.rounds + 1):
            begun = time.monotonic()
            self.round(number, write)
            now = time.monotonic()
            print(f"round {number} of {self.asked.rounds} is done", file=sys.stderr)
            if now + (now - begun) > started + self.asked.seconds:
                print(f"there is no time for more rounds in {self.asked.seconds:.0f} s", file=sys.stderr)
                break

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
    # CUDA would number GPUs from the fastest on; xrun, and its reading of CUDA_VISIBLE_DEVICES, go by the PCI bus.
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    comparison = Comparison(asked)
    try:
        if asked.csv is None:
            comparison.measure(lambda row: None)
        else:
            with asked.csv.open("w", newline="", buffering=1) as file:
                comparison.measure(csv.writer(file).writerow)
    finally:
        comparison.end()
    if not comparison.report():
        raise SystemExit("gpu: not every comparison has both sides")


if __name__ == "__main__":
    main()
