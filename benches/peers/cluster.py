"""Measures xrun's parameter server beside TensorFlow's, and its all-reduce beside MPI's, in turn on the same pinned cores.

    python3 benches/peers/cluster.py --python VENV/bin/python --mpi ./mpi_all_reduce server-1 server-2 all-reduce

server-N is one server and N workers, asynchronous, MLP 256-4096-4096-256 with Adam, local batch 128. `alone` is
one process with one thread, the rate to hold the others against.
"""
import argparse
import csv
import functools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from paired import ratio

HERE = Path(__file__).resolve().parent
EXPERIMENT = """
schema = 1
name = "peer"
[model]
name = "mlp"
local_batch = 128
[devices]
kind = "cpu"
oversubscribe = true
[cluster]
{cluster}
[measure]
warmup_steps = 5
steps = {steps}
repeats = 1
"""
SERVER = 'topology = "parameter-server"\nworkers = {workers}\nservers = 1\ntransport = "{transport}"'


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=["server-1", "server-2", "all-reduce"])
    parser.add_argument("--xrun", default=str(HERE.parent.parent / "target/release/xrun"))
    parser.add_argument("--python", default=sys.executable, help="interpreter with TensorFlow")
    parser.add_argument("--mpi", help="mpi_all_reduce.c, compiled")
    parser.add_argument("--all-reduce", help="the bench all_reduce, compiled")
    parser.add_argument("--transports", default="shared-memory,unix,tcp")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=40, help="steps of each of xrun's workers")
    parser.add_argument("--seconds", type=float, default=6.0, help="for which TensorFlow's workers count steps")
    parser.add_argument("--cores", default="0,1")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that a program may take")
    return parser.parse_args()


class Failed(Exception):
    """Why a program gave no figure."""


def run(command, asked, environment=None):
    """What `command` prints, pinned to the cores, and ended with all that it has started."""
    cores = [int(core) for core in asked.cores.split(",")]
    pin = functools.partial(os.sched_setaffinity, 0, cores)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=pin, start_new_session=True,
        env={**os.environ, **(environment or {})}, cwd=HERE,
    )
    try:
        out, said = process.communicate(timeout=asked.limit)
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {asked.limit:.0f} s")
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate()
    if process.returncode != 0:
        raise Failed(f"ended with {process.returncode}: {(said.strip().splitlines() or ['and says nothing'])[-1]}")
    return out


def last_line(out):
    return json.loads(out.strip().splitlines()[-1])


def tensorflow(workers, servers, asked):
    script = [asked.python, str(HERE / "tensorflow_parameter_server.py")]
    counts = ["--workers", str(workers), "--servers", str(servers), "--seconds", str(asked.seconds)]
    return last_line(run(script + counts, asked))["steps_per_second"]


def xrun(cluster, asked):
    """Steps per second of all workers of one cell."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        file = place / "peer.toml"
        file.write_text(EXPERIMENT.format(cluster=cluster, steps=asked.steps))
        run([asked.xrun, str(file), "--results", f"{folder}/results", "--plots", f"{folder}/plots"], asked)
        with next(place.glob("results/peer/*/repeats.csv")).open() as rows:
            row = list(csv.DictReader(rows))[-1]
    if row["outcome"] != "completed":
        raise Failed(f"{row['outcome']}: {row['reason']}")
    return float(row["throughput_examples_per_second"]) / 128


def mpi(asked, *options):
    allow = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = ["mpirun", *options, "--bind-to", "core", "-n", "2", asked.mpi]
    return last_line(run(command, asked, allow))["gigabytes_per_second"]


def own_all_reduce(transport, asked):
    return last_line(run([asked.all_reduce], asked))[transport]


SEGMENTED = {
    "coll_tuned_use_dynamic_rules": "1",
    "coll_tuned_allreduce_algorithm": "5",
    "coll_tuned_allreduce_algorithm_segmentsize": "1048576",
    "btl_vader_single_copy_mechanism": "none",
}


def programs(case, asked):
    """Of one case, by name: how to measure it."""
    transports = asked.transports.split(",")
    if case == "all-reduce":
        knobs = [word for name, value in SEGMENTED.items() for word in ("--mca", name, value)]
        own = {f"xrun {transport}": functools.partial(own_all_reduce, transport, asked) for transport in transports}
        return own | {
            "mpi": functools.partial(mpi, asked),
            "mpi, segmented ring without CMA": functools.partial(mpi, asked, *knobs),
        }
    workers = int(case.removeprefix("server-"))
    server = lambda transport: SERVER.format(workers=workers, transport=transport)
    own = {f"xrun {transport}": functools.partial(xrun, server(transport), asked) for transport in transports}
    return own | {
        "xrun alone": functools.partial(xrun, 'topology = "single"', asked),
        "tensorflow": functools.partial(tensorflow, workers, 1, asked),
        "tensorflow alone": functools.partial(tensorflow, 1, 0, asked),
    }


def measure(case, asked, dice):
    rates, failures = {}, []
    for number in range(asked.rounds):
        order = list(programs(case, asked).items())
        dice.shuffle(order)
        for name, program in order:
            try:
                rates.setdefault(name, {})[number] = program()
            except Failed as failure:
                failures.append(f"round {number + 1}: {name} {failure}")
    return rates, failures


def report(case, rates, failures):
    unit = "GB/s" if case == "all-reduce" else "steps/s"
    print(f"\n{case}")
    for name, by_round in sorted(rates.items()):
        values = list(by_round.values())
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"  {name:32} {statistics.median(values):7.2f} {unit}  ({spread}, n = {len(values)})")
    others = [name for name in rates if not name.startswith("xrun") or name == "xrun alone"]
    for own in sorted(name for name in rates if name.startswith("xrun") and name != "xrun alone"):
        for other in sorted(others):
            both = sorted(rates[own].keys() & rates[other].keys())
            if both:
                found = ratio([(rates[own][number], rates[other][number]) for number in both])
                interval = f"{found.low:.2f} to {found.high:.2f} ({100 * found.coverage:.0f} % interval)"
                print(f"  {own} / {other}: {found.median:.2f} x, {interval}")
    for failure in failures:
        print(f"  {failure}")


def main():
    asked = arguments()
    dice = random.Random(1)
    for case in asked.cases:
        report(case, *measure(case, asked, dice))


if __name__ == "__main__":
    main()
