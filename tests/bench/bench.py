#!/usr/bin/env python3
"""Measure our server against nats-server, alternately, and print the ratios.

    bench.py                     the core table, 5 rounds (about 15 minutes)
    bench.py --quick             one short round: does it run, which order of magnitude
    bench.py --only 'fan|1:1'    rows whose name matches
    bench.py --curves            how cost grows with subscribers, subscriptions, connections
    bench.py --record            also write the table into docs/benchmarks.md

Both sides are loaded by the same generator with the same options, in turn (A B B A ...).
A run is repeated when others used more than a fifth of a core, or when the machine's
yardstick is more than a tenth away from its median. Only the standard library is needed.
"""

import argparse
import json
import re
import shlex
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone

import servers
from rows import ROWS, UPPER

NOISE_PCT_MAX = 20
YARDSTICK_SHARE_MAX = 0.10
HISTORY = servers.REPO / "docs/benchmarks.md"
MARK = "<!-- newest first -->"


def log(text):
    print(text, file=sys.stderr, flush=True)


def figure(result, path):
    for key in path.split("."):
        result = result.get(key) if isinstance(result, dict) else None
    return result if isinstance(result, (int, float)) else None


class Bench:
    def __init__(self, args):
        self.args = args
        self.loadgen = servers.build_loadgen()
        self.sides = {"peer": args.peer or servers.peer_command(), "ours": args.ours or servers.our_command()}
        self.yardsticks = []
        self.results = []

    def disturbed(self, result):
        """Why this result should not count, or None."""
        machine = result["machine"]
        others = machine["other_cpu_pct"] + machine["steal_pct"]
        if others > NOISE_PCT_MAX:
            return f"others used {others:.0f} % of a core"
        self.yardsticks.append(machine["work_ns"])
        usual = statistics.median(self.yardsticks)
        if abs(machine["work_ns"] / usual - 1) > YARDSTICK_SHARE_MAX:
            return f"yardstick {machine['work_ns']:.0f} ns, usually {usual:.0f} ns"
        return None

    def measure(self, server, what, mode, options, round_no):
        """Runs until undisturbed, at most `--retries` times more; keeps the last result."""
        for attempt in range(self.args.retries + 1):
            result = servers.generate(self.loadgen, server, mode, options)
            why = self.disturbed(result)
            if why is None or attempt == self.args.retries:
                break
            log(f"  {server.name}: {what}: {why}, again")
            time.sleep(1)
        result.update(side=server.name, what=what, round=round_no, disturbed=why)
        self.results.append(result)
        if result.get("errors"):
            log(f"  {server.name}: {what}: {result['errors']} errors")
        return result

    def start(self, side):
        return servers.Server(side, self.sides[side])

    def order(self, turn):
        return ["peer", "ours"] if turn % 2 == 0 else ["ours", "peer"]

    # The table.

    def table(self):
        only = re.compile(self.args.only or "")
        rows = [r for r in ROWS if only.search(r.name)]
        if not rows:
            raise SystemExit("no row matches; rows: " + ", ".join(r.name for r in ROWS))
        timing = f"--secs {self.args.secs} --warm {self.args.warm}"
        for round_no in range(self.args.rounds):
            log(f"round {round_no + 1} of {self.args.rounds}")
            shared = [r for r in rows if not r.fresh]
            if shared:
                with self.start("peer") as peer, self.start("ours") as ours:
                    both = {"peer": peer, "ours": ours}
                    for i, row in enumerate(shared):
                        for side in self.order(round_no + i):
                            self.measure(both[side], row.name, row.mode, f"{row.options} {timing}", round_no)
            for i, row in enumerate(r for r in rows if r.fresh):
                options = row.quick_options if self.args.quick else row.options
                for side in self.order(round_no + i):
                    with self.start(side) as server:
                        self.measure(server, row.name, row.mode, options, round_no)
        lines = ["| workload | peer | ours | CPU × | rate × | p50 × | p99 × | RSS × | must | |",
                 "|---|---|---|---|---|---|---|---|---|---|"]
        return lines + [self.row_line(row) for row in rows]

    def row_line(self, row):
        cells = {"peer": [], "ours": []}
        ratios = {}
        for kind, path in row.figures():
            medians = {}
            for side in cells:
                values = sorted(v for r in self.results if r["side"] == side and r["what"] == row.name
                                if (v := figure(r, path)) is not None)
                if values:
                    medians[side] = statistics.median(values)
                    cells[side].append(quantity(kind, row, medians[side], values[0], values[-1]))
            if medians.get("peer", 0) > 0 and "ours" in medians:
                ratios.setdefault(kind, []).append(medians["ours"] / medians["peer"])
        runs = [r for r in self.results if r["what"] == row.name]
        verdict = judge(row.musts, ratios)
        disturbed = sum(bool(r["disturbed"]) for r in runs)
        errors = sum(r.get("errors") or 0 for r in runs)
        notes = [f"{n} {what}" for n, what in ((disturbed, "disturbed"), (errors, "errors")) if n]
        shown = [" / ".join(f"{x:.2f}" for x in ratios.get(kind, [])) or "–"
                 for kind in ("cpu", "rate", "p50", "p99", "rss")]
        must = ", ".join(f"{name(k)} {'≤' if k in UPPER else '≥'} {v}" for k, v in row.musts.items())
        if self.args.quick and row.quick_options:
            notes.append(f"only {row.quick_options}")
        return "| " + " | ".join([row.name, ", ".join(cells["peer"]), ", ".join(cells["ours"]), *shown, must,
                                  ", ".join([verdict, *notes])]) + " |"

    # How cost grows.

    def curves(self):
        quick = self.args.quick
        timing = f"--secs {self.args.secs} --warm {self.args.warm}"
        lines = []

        def section(title, columns, points, run):
            lines.extend([f"| {title} | " + " | ".join(f"peer {c} | ours {c}" for c in columns) + " |",
                          "|---" * (1 + 2 * len(columns)) + "|"])
            for i, point in enumerate(points):
                got = {"peer": [], "ours": []}
                for round_no in range(self.args.rounds):
                    for side in self.order(i + round_no):
                        with self.start(side) as server:
                            got[side].append(run(server, point, round_no))
                cells = [number(statistics.median(x[c] for x in got[side])) if got[side] else "–"
                         for c in range(len(columns)) for side in ("peer", "ours")]
                lines.append(f"| {point:,} | " + " | ".join(cells) + " |")
            lines.append("")

        def subscribers(server, n, round_no):
            r = self.measure(server, f"curve: {n} subscribers", "pubsub", f"--subs {n} --size 128 {timing}", round_no)
            return r["server"]["cpu_us_per_delivery"], r["server"]["rss_mb"]

        def subscriptions(server, n, round_no):
            r = self.measure(server, f"curve: {n} subscriptions", "subs", f"--n {n} {timing}", round_no)
            return r["server"]["cpu_us_per_msg"], r["insert_cpu_us"], r["server"]["rss_mb"]

        def connections(server, n, round_no):
            idle = subprocess.Popen([str(self.loadgen), "conns", "--conns", str(n), "--secs", "600",
                                     *server.target()], stdout=subprocess.DEVNULL)
            try:
                deadline = time.monotonic() + 120
                while time.monotonic() < deadline and idle.poll() is None:
                    if (server.get("/varz") or {}).get("connections", 0) >= n:
                        break
                    time.sleep(0.2)
                else:
                    raise SystemExit(f"{server.name}: {n} connections did not come up")
                time.sleep(1)
                r = self.measure(server, f"curve: {n} connections", "pubsub", f"--subs 1 --size 128 {timing}", round_no)
                return r["server"]["cpu_us_per_msg"], r["server"]["rss_mb"]
            finally:
                idle.terminate()
                idle.wait()

        small = slice(0, 2) if quick else slice(None)
        section("subscribers of one subject", ["CPU µs per delivery", "RSS MiB"], [1, 10, 100, 1000][small], subscribers)
        section("subscriptions, one match", ["CPU µs per message", "CPU µs per SUB", "RSS MiB"],
                [1000, 10_000, 100_000, 1_000_000][small], subscriptions)
        section("idle connections, 1:1 beside them", ["CPU µs per message", "RSS MiB"],
                [1, 10, 100, 1000, 10_000][small], connections)
        return lines[:-1]


def name(kind):
    return {"cpu": "CPU", "rss": "RSS"}.get(kind, kind)


def number(x):
    if x is None:
        return "–"
    for limit, unit in ((1e6, " M"), (1e4, " k")):
        if abs(x) >= limit:
            return f"{x / (1e6 if unit == ' M' else 1e3):.3g}{unit}"
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def quantity(kind, row, median, least, most):
    """A figure with its spread and unit: `1.06 M (0.98 M–1.1 M) /s`."""
    unit = {"rate": "/s", "cpu": "µs", "p50": "µs p50", "p99": "µs p99", "rss": row.rss_unit}[kind]
    spread = "" if least == most else f" ({number(least)}–{number(most)})"
    return f"{number(median)}{spread} {unit}"


def judge(musts, ratios):
    """`pass`, or which bounds are missed; a bound without a figure is missed too."""
    missed = []
    for kind, bound in musts.items():
        values = ratios.get(kind)
        if not values:
            missed.append(f"{name(kind)} not measured")
        elif (max(values) > bound) if kind in UPPER else (min(values) < bound):
            missed.append(name(kind))
    return "miss: " + ", ".join(missed) if missed else "pass"


def insert_newest(history, entry):
    """The history with `entry` before all others."""
    if MARK not in history:
        raise SystemExit(f"{HISTORY} has no line {MARK}")
    head, rest = history.split(MARK, 1)
    rest = rest.strip()
    return f"{head}{MARK}\n\n{entry.strip()}\n" + (f"\n{rest}\n" if rest else "")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, help="runs of each row on each side (5; quick and curves: 1)")
    p.add_argument("--only", metavar="REGEX", help="rows whose name matches")
    p.add_argument("--quick", action="store_true", help="one short round, small memory rows")
    p.add_argument("--curves", action="store_true", help="growth instead of the table")
    p.add_argument("--record", action="store_true", help="insert the result into docs/benchmarks.md")
    p.add_argument("--ours", metavar="COMMAND", help="our server; {conf} is replaced")
    p.add_argument("--peer", metavar="COMMAND", help="the other server; {conf} is replaced")
    p.add_argument("--secs", type=float, help="measuring window (2; quick: 0.5)")
    p.add_argument("--warm", type=float, help="warm-up before it (0.5; quick: 0.2)")
    p.add_argument("--retries", type=int, default=2, help="how often a disturbed run is repeated")
    a = p.parse_args()
    a.rounds = a.rounds or (1 if a.quick or a.curves else 5)
    a.secs = a.secs or (0.5 if a.quick else 2)
    a.warm = a.warm or (0.2 if a.quick else 0.5)
    if a.quick:
        a.retries = 0

    servers.raise_nofile()
    servers.SCRATCH.mkdir(parents=True, exist_ok=True)
    when = datetime.now(timezone.utc)
    bench = Bench(a)
    lines = bench.curves() if a.curves else bench.table()
    facts = {"when": when.strftime("%Y-%m-%d %H:%M UTC"), "commit": servers.commit_line(),
             "machine": servers.machine_line(), "command": shlex.join(["tests/bench/bench.py", *sys.argv[1:]]),
             "rounds": a.rounds}
    raw = servers.SCRATCH / f"results-{when:%Y%m%dT%H%M%SZ}.json"
    raw.write_text(json.dumps({**facts, "results": bench.results}, indent=1))
    report = "\n".join([f"### {facts['when']} · {facts['commit']}", "", f"{facts['machine']}. "
                        f"`{facts['command']}`, {a.rounds} round{'s' * (a.rounds > 1)}.", "", *lines])
    raw.with_suffix(".md").write_text(report + "\n")
    print(report)
    log(f"raw results: {raw}")
    if a.record:
        HISTORY.write_text(insert_newest(HISTORY.read_text(), report))
        log(f"recorded in {HISTORY.relative_to(servers.REPO)}")


if __name__ == "__main__":
    main()
