"""What check.sh must know of results: reads the CSV files that xrun wrote, and judges them.

    figures.py outcomes FOLDER          # every cell was measured, or skipped for a reason that is printed
    figures.py losses FOLDER            # CPU and GPU agree
    figures.py input FOLDER             # what each placement of the input gave
    figures.py occupied FOLDER          # a GPU that another process holds was not used
    figures.py disturbed FOLDER         # ... or its rows are marked
    figures.py memory FOLDER            # a cell that ran out of memory failed, and the others were measured
    figures.py gradient < LINE          # of the benchmark `step`
"""
import csv
import json
import statistics
import sys
from collections import Counter
from pathlib import Path

# Between a CPU and a GPU, relative: what 20 steps make of rounding.
LOSS_BOUND = 1e-3
# Of a variable's gradient in f32 from that in f64, relative L2.
GRADIENT_BOUND = 1e-4


def fail(message):
    raise SystemExit(f"failed: {message}")


def rows(folder):
    found = sorted(Path(folder).rglob("repeats.csv"))
    if not found:
        fail(f"no repeats.csv below {folder}")
    return [row for path in found for row in standing(list(csv.DictReader(path.open(newline=""))))]


def standing(of_file):
    """Of the newest run the row that speaks for each block of each cell: a call that goes on with a run adds rows and
    takes none away. As for xrun, which measures a block no more that has a completed row, that is the newest of these,
    or else the newest of all.
    """
    newest = max((int(row["run"]) for row in of_file), default=0)
    places = {}
    for row in [row for row in of_file if int(row["run"]) == newest]:
        place = row["cell"], row["block"]
        if place not in places or counts(row) or not counts(places[place]):
            places.pop(place, None)  # those that come back are in the order of the file too
            places[place] = row
    return list(places.values())


def counts(row):
    return row["outcome"] == "completed" and "stale" not in row["marks"]


def with_outcome(all_rows, *outcomes):
    return [row for row in all_rows if row["outcome"] in outcomes]


def outcomes(folder):
    all_rows = rows(folder)
    counts = Counter(row["outcome"] for row in all_rows)
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    for (outcome, reason), count in sorted(Counter((row["outcome"], row["reason"]) for row in all_rows).items()):
        if reason:
            print(f"  {count} {outcome}: {reason}")
    wrong = set(counts) - {"completed", "skipped"}
    if wrong or not counts["completed"]:
        fail(f"there are rows that are {', '.join(sorted(wrong))}" if wrong else "nothing was measured")


def losses(folder):
    by_work = {}
    for row in rows(folder):
        by_work.setdefault(row["work"], {})[row["devices.kind"]] = row
    worst = 0.0
    for work, kinds in sorted(by_work.items()):
        for kind, row in kinds.items():
            if row["outcome"] != "completed":
                fail(f"{work} on {kind}: {row['outcome']}: {row['reason']}")
        if set(kinds) != {"cpu", "cuda"}:
            fail(f"{work} was measured on {', '.join(kinds)} only")
        for column in ["first_loss", "last_loss"]:
            cpu, gpu = (float(kinds[kind][column]) for kind in ["cpu", "cuda"])
            distance = abs(gpu - cpu) / abs(cpu)
            worst = max(worst, distance) if distance == distance else float("nan")
            print(f"{work:28} {column:10}  CPU {cpu:.6f}  GPU {gpu:.6f}  differ by {distance:.1e}")
    if not worst <= LOSS_BOUND:
        fail(f"losses of CPU and GPU differ by {worst:.1e}, more than {LOSS_BOUND}")


def number(row, column):
    text = row.get(column) or "nan"
    return float(text)


def input_placements(folder):
    cells = {}
    for row in with_outcome(rows(folder), "completed"):
        cells.setdefault(row.get("input") or row["label"], []).append(row)
    print(f"{'input':34} {'n':>3} {'examples/s':>12} {'input_wait':>11} {'distort':>8} {'copy':>8} {'host-bound':>11}")
    for name, of_cell in sorted(cells.items(), key=lambda pair: -rate(pair[1])):
        parts = [share(of_cell, f"{phase}_seconds") for phase in ["input_wait", "distort", "copy"]]
        host = statistics.median(number(row, "host_bound_share") for row in of_cell)
        shares = f"{parts[0]:11.1%} {parts[1]:8.1%} {parts[2]:8.1%} {host:11.1%}"
        print(f"{name:34} {len(of_cell):3} {rate(of_cell):12,.0f} {shares}")


def rate(of_cell):
    return statistics.median(number(row, "throughput_examples_per_second") for row in of_cell)


def share(of_cell, column):
    return statistics.median(number(row, column) / number(row, "step_seconds_mean") for row in of_cell)


def occupied(folder):
    all_rows = rows(folder)
    for row in all_rows:
        print(f"{row['outcome']}: {row['reason']}")
    # Which number a process has in a container is not the one that NVML tells.
    if not all(row["outcome"] == "skipped" and "process" in row["reason"] for row in all_rows):
        fail("not every row was skipped because of the process that holds the GPU")


def disturbed(folder):
    all_rows = rows(folder)
    for row in all_rows:
        print(f"{row['outcome']}, marks {row['marks'] or '-'}: {row['reason']}")
    if not all(row["outcome"] == "completed" and "disturbed" in row["marks"] for row in all_rows):
        fail("not every row was measured and marked `disturbed`")


def memory(folder):
    all_rows = rows(folder)
    for row in all_rows:
        print(f"batch {row['model.local_batch']}: {row['outcome']}: {row['reason']}")
    small = [row for row in all_rows if row["model.local_batch"] == "128"]
    large = [row for row in all_rows if row["model.local_batch"] != "128"]
    if not small or any(row["outcome"] != "completed" for row in small):
        fail("the cell beside the one that is too large was not measured")
    if not large or any(row["outcome"] != "failed" or "memory" not in row["reason"] for row in large):
        fail("the cell that is too large did not fail for want of memory")


def gradient():
    line = json.loads(sys.stdin.read().strip().splitlines()[-1])
    error = line["gradient_error"]
    print(f"{line['model']} {line['convolution']}: worst gradient error {error:.1e}")
    if not error <= GRADIENT_BOUND:
        fail(f"a gradient differs from the one in double precision by {error:.1e}, more than {GRADIENT_BOUND}")


COMMANDS = {
    "outcomes": outcomes,
    "losses": losses,
    "input": input_placements,
    "occupied": occupied,
    "disturbed": disturbed,
    "memory": memory,
    "gradient": gradient,
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        raise SystemExit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
