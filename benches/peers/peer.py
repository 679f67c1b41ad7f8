"""What the training peers share: their arguments, how their steps are timed, and the line that they print."""
import argparse
import json
import sys
import time


def parser(about):
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--batch", type=int, default=128, help="examples of a step")
    parser.add_argument("--threads", type=int, default=1, help="threads of every pool")
    parser.add_argument("--steps", type=int, default=40, help="steps that are timed")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them")
    return parser


def arguments(about):
    return parser(about).parse_args()


def measure(program, version, asked, step, window=1, finish=lambda: None):
    """Times calls of `step` in windows of some, and prints the JSON line.

    A step that only puts work on a device's queue needs `finish`, which returns when all of it is done: once a
    window, since a loop that waits for each step leaves the device idle while the next one is put on its queue.
    """
    take(step, asked.warmup, finish)
    say(program, version, asked, timed(asked.steps, step, window, finish))


def serve(program, version, asked, step, window, finish):
    """Says that it is ready, and then times steps for every line on stdin."""
    take(step, asked.warmup, finish)
    say(program, version, asked, [])
    for _ in sys.stdin:
        say(program, version, asked, timed(asked.steps, step, window, finish))


def say(program, version, asked, seconds):
    line = {"program": program, "version": version, "batch": asked.batch, "threads": asked.threads, "seconds": seconds}
    print(json.dumps(line), flush=True)


def timed(steps, step, window, finish):
    """Seconds of a step in each window."""
    seconds = []
    for _ in range(max(1, steps // window)):
        start = time.perf_counter()
        take(step, window, finish)
        seconds.append((time.perf_counter() - start) / window)
    return seconds


def take(step, count, finish):
    for _ in range(count):
        step()
    finish()
