"""What the processes of a case gave, and its table: xrun against each peer, round by round."""
import statistics

from paired import ratio


class Results:
    """Of each program by its name: examples per second by round, and the last line that it printed."""

    def __init__(self):
        self.rates, self.lines, self.xrun = {}, {}, []

    def add(self, number, program, line, rate):
        self.rates.setdefault(program.name, {})[number] = rate
        self.lines[program.name] = line
        if program.is_xrun and program.name not in self.xrun:
            self.xrun.append(program.name)

    def peers(self):
        return sorted(name for name in self.rates if name not in self.xrun)

    def pairs(self, own, peer):
        """The rates of both in the rounds in which both gave one."""
        both = sorted(self.rates[own].keys() & self.rates[peer].keys())
        return [(self.rates[own][number], self.rates[peer][number]) for number in both]


def text(case, cores, results):
    """The table of one case, with its title; without cores it ran on a GPU."""
    what = "input pipeline" if case.model == "input" else case.model
    where = f"pinned to cores {', '.join(map(str, cores))}" if cores else "on a GPU"
    lines = ["", f"{case.name}: {what}, batch {case.batch}, {where}"]
    for name, rates in sorted(results.rates.items()):
        lines.append(f"  {label(name, results.lines[name]):24} {statistics.median(rates.values()):12,.0f} examples/s")
    for own in sorted(results.xrun):
        lines += [against(results, own, peer) for peer in results.peers()]
    return "\n".join(lines)


def best_peer(results):
    """The peer with the highest median; none where no peer gave a figure."""
    return max(results.peers(), key=lambda name: statistics.median(results.rates[name].values()), default=None)


def label(name, line):
    """A program's name with what it says of itself."""
    said = [line["version"]] if "version" in line else []
    if line.get("convolution") and not name.endswith(line["convolution"]):
        said.append(f"({line['convolution']})")
    return " ".join([name, *said])


def against(results, own, peer):
    """One line: xrun over one peer, and beside it how exact xrun's gradients are."""
    pairs = results.pairs(own, peer)
    if not pairs:
        return f"  {own} / {peer}: no round in which both gave a figure"
    found = ratio(pairs)
    rounds = " ".join(f"{first / second:.2f}" for first, second in pairs)
    line = (
        f"  {own} / {peer}: {found.median:.2f} x, {found.low:.2f} to {found.high:.2f} "
        f"({100 * found.coverage:.0f} % interval); rounds: {rounds}"
    )
    error = results.lines[own].get("gradient_error")
    return line if error is None else f"{line}; worst gradient error {error:.1e}"
