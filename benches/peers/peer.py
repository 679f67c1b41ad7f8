"""What the training peers share: their arguments, how their steps are timed, and the line that they print."""
import argparse
import json
import time


def arguments(about):
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--batch", type=int, default=128, help="examples of a step")
    parser.add_argument("--threads", type=int, default=1, help="threads of every pool")
    parser.add_argument("--steps", type=int, default=40, help="steps that are timed")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them")
    return parser.parse_args()


def measure(program, version, asked, step):
    """Times every call of `step`, which returns when the step is done, and prints the JSON line."""
    for _ in range(asked.warmup):
        step()
    seconds = []
    for _ in range(asked.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    line = {"program": program, "version": version, "batch": asked.batch, "threads": asked.threads, "seconds": seconds}
    print(json.dumps(line), flush=True)
