"""How cost grows with what is there: subscribers, subjects, streams, consumers, connections.

Flat or logarithmic is well, linear in what is idle is not. Every point has a fresh server.
"""

import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import Callable

import servers
from measure import log
from report import number
from rows import TABLES


@dataclass(frozen=True)
class Curve:
    # The table whose sides run.
    table: str
    title: str
    columns: tuple
    points: tuple
    # (bench, server, point, round) -> a figure for each column.
    run: Callable


def measure_curves(bench, only, tables, quick=False):
    """The curves whose title matches, as Markdown."""
    lines = []
    for curve in CURVES:
        if curve.table not in tables or not only.search(curve.title):
            continue
        table = TABLES[curve.table]
        # The peer as it comes, and ours.
        sides = [list(table.sides)[0], "ours"]
        heads = [f"{side} {column}" for column in curve.columns for side in sides]
        lines += [f"| {curve.title} | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
        for i, point in enumerate(curve.points[:2] if quick else curve.points):
            log(f"{curve.title}: {point:,}")
            got = {side: [] for side in sides}
            for round_no in range(bench.args.rounds):
                for side in bench.sides(sides, i + round_no):
                    try:
                        with bench.start(table, side) as server:
                            got[side].append(curve.run(bench, server, point, round_no))
                    except servers.Failed as e:
                        bench.failed(side, f"{curve.title}: {point}", round_no, e)
            cells = [number(statistics.median(x[c] for x in got[side])) if got[side] else "–"
                     for c in range(len(curve.columns)) for side in sides]
            lines.append(f"| {point:,} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines[:-1]


def subscribers(bench, server, n, round_no):
    r = bench.measure(server, f"curve: {n} subscribers", "pubsub", f"--subs {n} --size 128 {bench.timing}", round_no)
    return r["server"]["cpu_us_per_delivery"], r["server"]["rss_mb"]


def subscriptions(bench, server, n, round_no):
    r = bench.measure(server, f"curve: {n} subscriptions", "subs", f"--n {n} {bench.timing}", round_no)
    return r["server"]["cpu_us_per_msg"], r["insert_cpu_us"], r["server"]["rss_mb"]


def connections(bench, server, n, round_no):
    idle = subprocess.Popen([str(bench.loadgen), "conns", "--conns", str(n), "--secs", "600", *server.target()],
                            stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and idle.poll() is None:
            if (server.get("/varz") or {}).get("connections", 0) >= n:
                break
            time.sleep(0.2)
        else:
            raise servers.Failed(f"{server.name}: {n} connections did not come up")
        time.sleep(1)
        r = bench.measure(server, f"curve: {n} connections", "pubsub", f"--subs 1 --size 128 {bench.timing}", round_no)
        return r["server"]["cpu_us_per_msg"], r["server"]["rss_mb"]
    finally:
        idle.terminate()
        idle.wait()


def subjects(bench, server, n, round_no):
    options = f"--subjects {n} --window 512 --settle 3 {bench.timing}"
    r = bench.measure(server, f"curve: {n} subjects", "kv-put", options, round_no)
    return r["server"]["cpu_us_per_msg"], r["load_cpu_us_per_key"], r["server"]["rss_mb"]


def streams(bench, server, n, round_no):
    made = once(bench, server, f"curve: {n} streams made", "js-streams", f"--n {n} --window 16 --settle 3 --secs 1",
                round_no)
    options = f"--into idle. --subjects {n} --random --window 512 --size 128 {bench.timing}"
    r = bench.measure(server, f"curve: {n} streams", "js-pub", options, round_no)
    return r["server"]["cpu_us_per_msg"], made["server"]["rss_mb"], made["create_per_s"]


def consumers(bench, server, n, round_no):
    made = once(bench, server, f"curve: {n} consumers made", "js-consumers",
                f"--n {n} --window 16 --settle 3 --secs 1", round_no)
    options = f"--into BENCH.s --window 512 --size 128 {bench.timing}"
    r = bench.measure(server, f"curve: {n} consumers", "js-pub", options, round_no)
    return r["server"]["cpu_us_per_msg"], made["server"]["rss_mb"], made["create_per_s"]


def once(bench, server, what, mode, options, round_no):
    """A run that cannot be repeated on the same server, so it counts as it is."""
    r = servers.generate(bench.loadgen, server, mode, options)
    bench.keep(r, server.name, what, round_no, bench.disturbed(r))
    return r


CURVES = [
    Curve("core", "subscribers of one subject", ("CPU µs per delivery", "RSS MiB"), (1, 10, 100, 1000), subscribers),
    Curve("core", "subscriptions, one match", ("CPU µs per message", "CPU µs per SUB", "RSS MiB"),
          (1000, 10_000, 100_000, 1_000_000), subscriptions),
    Curve("core", "idle connections, 1:1 beside them", ("CPU µs per message", "RSS MiB"),
          (1, 10, 100, 1000, 10_000), connections),
    Curve("streams", "subjects of a stream, one message each, put at random",
          ("CPU µs per put", "CPU µs per first put", "RSS MiB"), (1000, 10_000, 100_000, 1_000_000), subjects),
    Curve("rest", "streams, published to at random", ("CPU µs per message", "RSS MiB at rest", "created/s"),
          (1, 10, 100, 1000, 10_000), streams),
    Curve("rest", "durable consumers of a stream, published to", ("CPU µs per message", "RSS MiB at rest", "created/s"),
          (1, 10, 100, 1000, 10_000), consumers),
]
