"""Measures xrun and its peers in turn on the same pinned cores, and prints the ratios of each round.

    python3 benches/peers/compare.py --python VENV/bin/python cifar10-1 cifar10-2 mlp input
"""
import argparse
import csv
import functools
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import table
from cases import DEFAULT, GROUPS, Programs, named


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = ", ".join(GROUPS)
    parser.add_argument("cases", nargs="*", default=DEFAULT, help=f"groups ({groups}) or cases such as cifar10-1")
    parser.add_argument("--python", default=sys.executable, help="interpreter with TensorFlow")
    parser.add_argument("--pytorch", help="interpreter with PyTorch; without it PyTorch is left out")
    parser.add_argument("--convolution", default="auto", help="xrun's ways to convolve, such as winograd,direct")
    parser.add_argument("--features", default="", help="cargo features of xrun's side, such as avx512")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30, help="steps that a process times")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them")
    parser.add_argument("--windows", type=int, default=5, help="seconds for which a process times its input")
    parser.add_argument("--cores", default="0,1", help="cores to pin to; a case takes the first of them")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds that a process may take")
    parser.add_argument("--seed", type=int, default=1, help="of the order within rounds")
    parser.add_argument("--csv", type=Path, help="file for one row for each process")
    return parser.parse_args()


class Failed(Exception):
    """Why a process gave no figure."""


def run(command, cores, limit):
    """What the last line says that `command`, pinned to `cores`, prints."""
    pin = functools.partial(os.sched_setaffinity, 0, cores)
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=pin, start_new_session=True
        )
    except OSError as error:
        raise Failed(f"cannot start {command[0]}: {error.strerror}")
    try:
        out, said = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failed(f"took longer than {limit:.0f} s")
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    if process.returncode != 0:
        reason = said.strip().splitlines()[-1:] or ["and says nothing"]
        raise Failed(f"ended with {process.returncode}: {reason[0]}")
    try:
        return json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise Failed("printed no JSON line")


def rate(line):
    """The median of a process's examples per second."""
    if "examples_per_second" in line:
        return statistics.median(line["examples_per_second"])
    return line["batch"] / statistics.median(line["seconds"])


class Comparison:
    def __init__(self, asked, cases, cores):
        self.asked, self.cases, self.cores = asked, cases, cores
        programs = Programs(asked)
        programs.build(cases)
        self.programs = {case: list(programs.of(case, self.cores_of(case))) for case in cases}
        self.order = random.Random(asked.seed)
        self.results = {case: table.Results() for case in cases}

    def cores_of(self, case):
        return self.cores[: case.cores]

    def round(self, number, write):
        """Each case in random order, and within it each program in random order."""
        for case in self.order.sample(self.cases, len(self.cases)):
            for program in self.order.sample(self.programs[case], len(self.programs[case])):
                try:
                    line = run(program.command, self.cores_of(case), self.asked.limit)
                    examples = rate(line)
                except Failed as failed:
                    # It would fail in other rounds too, perhaps after the whole limit.
                    self.programs[case].remove(program)
                    print(f"{case.name}: {program.name} is left out: {failed}", file=sys.stderr)
                    continue
                self.results[case].add(number, program, line, examples)
                write([case.name, number, program.name, f"{examples:.1f}"])
                print(f"round {number} {case.name}: {program.name} {examples:.0f} examples/s", file=sys.stderr)

    def measure(self, write):
        write(["case", "round", "program", "examples_per_second"])
        for number in range(1, self.asked.rounds + 1):
            self.round(number, write)
        for case in self.cases:
            print(table.text(case, self.cores_of(case), self.results[case]))


def drop_absent(asked):
    """Leaves out peers without an interpreter, with a line for each."""
    for name in ["python", "pytorch"]:
        path = getattr(asked, name)
        if path is not None and shutil.which(path) is None:
            print(f"compare: --{name} {path} is no program: its peers are left out", file=sys.stderr)
            setattr(asked, name, None)


def main():
    asked = arguments()
    drop_absent(asked)
    cores = [int(core) for core in asked.cores.split(",")]
    absent = set(cores) - os.sched_getaffinity(0)
    if absent:
        raise SystemExit(f"compare: core {min(absent)} is not one of this process: set --cores")
    cases = named(asked.cases)
    short = [case.name for case in cases if case.cores > len(cores)]
    if short:
        raise SystemExit(f"compare: {short[0]} needs more cores than --cores names")
    comparison = Comparison(asked, cases, cores)
    if asked.csv is None:
        return comparison.measure(lambda row: None)
    with asked.csv.open("w", newline="") as file:
        rows = csv.writer(file)

        def write(row):
            rows.writerow(row)
            file.flush()

        comparison.measure(write)


if __name__ == "__main__":
    main()
