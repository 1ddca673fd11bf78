"""Runs of the load generator against servers that take turns, and which of them count."""

import os
import shlex
import statistics
import sys
import time

import servers

NOISE_PCT_MAX = 20
# Where the slowest hundredth counts: who loses a hundredth of the time measures the loss, and the
# clock that steal is counted in has ticks of ten milliseconds. So a round is many runs in turn:
# those with a tick are repeated, and of what shows in none the median over all runs is free if
# it spoils less than half of them. In shorter runs than a second one stall of a virtual machine
# (0.5 to 4 ms, several a second) is the whole slowest hundredth.
TAIL_NOISE_PCT_MAX = 0.5
TAIL_RUNS = 8
TAIL_SECS = 1
TAIL_RETRIES = 10
YARDSTICK_SHARE_MAX = 0.10


def log(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    """Measures rows of tables; keeps every result that counts, and failed runs as errors."""

    def __init__(self, args, loadgen, programs):
        self.args = args
        self.loadgen = loadgen
        # `peer` and `ours` -> command.
        self.programs = programs
        self.timing = f"--secs {args.secs} --warm {args.warm}"
        self.yardsticks = []
        self.results = []

    def start(self, table, side):
        program, extra = table.sides[side]
        if table.stores:
            os.sync()
        return servers.Server(side, self.programs[program], extra)

    def sides(self, sides, turn):
        """Who runs, in which order."""
        return ["ours"] if self.args.alone else turns(list(sides), turn)

    def disturbed(self, result, noise_max=NOISE_PCT_MAX):
        """Why this result should not count, or None."""
        machine = result["machine"]
        others = machine["other_cpu_pct"] + machine["steal_pct"]
        if others > noise_max:
            return f"others used {others:.3g} % of a core"
        self.yardsticks.append(machine["work_ns"])
        usual = statistics.median(self.yardsticks)
        if abs(machine["work_ns"] / usual - 1) > YARDSTICK_SHARE_MAX:
            return f"yardstick {machine['work_ns']:.0f} ns, usually {usual:.0f} ns"
        return None

    def tries(self, retries=None):
        """Whether it is the last try, for each there may be."""
        retries = self.args.retries if retries is None else retries
        return (left == 0 for left in range(retries, -1, -1))

    def measure(self, server, what, mode, options, round_no, tail=False):
        """Runs until undisturbed, as often as may be; keeps the last result. `tail`: its
        slowest hundredth counts."""
        retries = self.args.retries * (TAIL_RETRIES if tail else 1)
        tries = (self.attempt(server, what, mode, options, round_no, is_last, tail)
                 for is_last in self.tries(retries))
        return next(result for result in tries if result)

    def attempt(self, server, what, mode, options, round_no, is_last, tail=False):
        """Runs once and keeps the result; None if it was disturbed and another try is left."""
        if server.stores:
            # What the run before left to the disk is not this run's to pay.
            os.sync()
        result = servers.generate(self.loadgen, server, mode, options)
        why = self.disturbed(result, TAIL_NOISE_PCT_MAX if tail else NOISE_PCT_MAX)
        if why and not is_last and not result.get("errors"):
            log(f"  {server.name}: {what}: {why}, again")
            time.sleep(TAIL_SECS if tail else 1)
            return None
        self.keep(result, server.name, what, round_no, why)
        return result

    def keep(self, result, side, what, round_no, why=None):
        result.update(side=side, what=what, round=round_no, disturbed=why)
        self.results.append(result)
        if result.get("errors"):
            log(f"  {side}: {what}: {result['errors']} errors: {result.get('said', '')}")

    def failed(self, side, what, round_no, failure):
        self.keep({"errors": 1, "said": str(failure)}, side, what, round_no)

    def errors(self):
        return sum(r.get("errors") or 0 for r in self.results)

    # Tables.

    def rounds(self, table, rows):
        """Every row on each of its sides, `--rounds` times."""
        for round_no in range(self.args.rounds):
            log(f"{table.title}: round {round_no + 1} of {self.args.rounds}")
            self.shared(table, [r for r in rows if not r.fresh and not r.ended], round_no)
            for i, row in enumerate(r for r in rows if r.fresh):
                for side in self.sides(table.sides_of(row), round_no + i):
                    self.alone(table, row, side, round_no)
            fills = list(dict.fromkeys(r.options for r in rows if r.ended))
            for i, fill in enumerate(fills):
                group = [r for r in rows if r.ended and r.options == fill]
                for side in self.sides(table.sides, round_no + i):
                    self.restarts(table, group, side, round_no)

    def options(self, row):
        if self.args.quick and row.quick_options:
            return row.quick_options
        return row.options

    def runs(self, row):
        """How often a row runs in a round on each side."""
        return TAIL_RUNS if row.tail and not self.args.quick else 1

    def timing_of(self, row):
        if row.mode == "js-consume":
            return ""
        return self.timing if self.runs(row) == 1 else f"--secs {TAIL_SECS} --warm {self.args.warm}"

    def shared(self, table, rows, round_no):
        """Rows that may follow each other on one server; all sides are up, one is loaded."""
        up = {}
        try:
            runs = ((i + j, row) for i, row in enumerate(rows) for j in range(self.runs(row)))
            for turn, row in runs:
                timing = self.timing_of(row)
                for side in self.sides(table.sides_of(row), round_no + turn):
                    if side in up and not up[side].alive():
                        up.pop(side).stop(keep=True)
                    if side not in up:
                        up[side] = self.start(table, side)
                    try:
                        options = f"{self.options(row)} {timing}"
                        self.measure(up[side], row.name, row.mode, options, round_no, row.tail)
                    except servers.Failed as e:
                        self.failed(side, row.name, round_no, e)
        finally:
            for server in up.values():
                server.stop()

    def alone(self, table, row, side, round_no):
        """A row whose figures depend on what the server did before: each try has a fresh one."""
        try:
            for is_last in self.tries():
                with self.start(table, side) as server:
                    if self.attempt(server, row.name, row.mode, self.options(row), round_no, is_last):
                        break
        except servers.Failed as e:
            self.failed(side, row.name, round_no, e)

    def restarts(self, table, rows, side, round_no):
        """Fills a stream, kills the server, times its start; ends it, times its start again.

        Nothing is dropped from the page cache in between, on either side."""
        fill = self.options(rows[0])
        words = shlex.split(fill)
        msgs = int(words[words.index("--msgs") + 1])
        named = {row.ended: row.name for row in rows}
        # Each start stores one message more, to prove that the stream is back.
        starts = [("killed", "term", msgs), ("clean", "kill", msgs + 1)]
        try:
            with self.start(table, side) as server:
                servers.generate(self.loadgen, server, "js-fill", f"{fill} --size 128 --settle 1")
                server.kill()
                for before, end, expected in starts:
                    options = ["start", "--cmd", server.command, "--servers", f"127.0.0.1:{server.port}",
                               "--stream", "BENCH", "--msgs", str(expected), "--publish", "BENCH.s0",
                               "--end", end, "--limit", "120"]
                    result = servers.run_loadgen(self.loadgen, side, options, limit=300)
                    if before in named:
                        self.keep(result, side, named[before], round_no, self.disturbed(result))
        except servers.Failed as e:
            for what in named.values():
                self.failed(side, what, round_no, e)


def turns(sides, turn):
    """A B then B A; with three, A B C then C B A."""
    return sides if turn % 2 == 0 else sides[::-1]
