#!/usr/bin/env python3
"""Measure our server against nats-server, alternately, and print the ratios.

    bench.py                     every table, 5 rounds (core 15 minutes, streams 10, rest 8)
    bench.py --table streams     some of them: core, streams, rest
    bench.py --quick             one short round: does it run, which order of magnitude
    bench.py --only 'fan|1:1'    rows (with --curves: curves) whose name matches
    bench.py --curves            how cost grows with subscribers, subjects, streams, ...
    bench.py --record            also write the tables into docs/benchmarks.md

All sides are loaded by the same generator with the same options, in turn (A B B A ...).
A run is repeated when others used more than a fifth of a core, or when the machine's
yardstick is more than a tenth away from its median. An error of any run, such as a message
acknowledged but not stored, fails its row and the whole (exit status 1); nothing is
recorded then. Only the standard library is needed.
"""

import argparse
import json
import re
import shlex
import signal
import sys
from dataclasses import replace
from datetime import datetime, timezone

import servers
from curves import measure_curves
from measure import Bench, log
from report import insert_newest, number, table_lines
from rows import TABLES

HISTORY = servers.REPO / "docs/benchmarks.md"


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--table", nargs="+", choices=[*TABLES, "all"], default=["all"], help="which tables, or whose curves")
    p.add_argument("--rounds", type=int, help="runs of each row on each side (5; quick and curves: 1)")
    p.add_argument("--only", metavar="REGEX", help="rows whose name matches")
    p.add_argument("--quick", action="store_true", help="one short round, small memory rows")
    p.add_argument("--alone", action="store_true", help="our server only: does it run, are its answers true")
    p.add_argument("--curves", action="store_true", help="growth instead of the tables")
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
    if a.alone and a.record:
        p.error("--record wants both sides")
    return a


def selected(only, chosen, alone=False):
    """(section, table, rows) of everything that matches."""
    picked = [(name, TABLES[name], [r for r in TABLES[name].rows if only.search(r.name)]) for name in chosen]
    picked = [p for p in picked if p[2]]
    if alone:
        # Nobody to compare with.
        picked = [(name, table, [replace(r, musts={}, least={}) for r in found]) for name, table, found in picked]
    if not picked:
        raise SystemExit("no row matches; rows: " + ", ".join(r.name for name in chosen for r in TABLES[name].rows))
    return picked


def disk_line(loadgen):
    """What a synced write costs here: no acknowledgement that means synced is faster."""
    kind = servers.filesystem(servers.SCRATCH)
    if kind in ("tmpfs", "ramfs"):
        raise SystemExit(f"{servers.SCRATCH} is {kind}: streams must be on a disk; set CARGO_TARGET_DIR")
    disk = servers.run_loadgen(loadgen, "disk", ["disk", "--dir", str(servers.SCRATCH)])
    append, written = disk["append_us"]["p50"], disk["written_us"]["p50"]
    return (f"Streams on {kind}, where write and fdatasync of 4 KiB take {number(append)} µs (median) at the end "
            f"of a file, {number(written)} µs inside one.")


def main():
    a = arguments()
    # Whoever ends us ends the servers too, and what was measured so far is kept.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    only = re.compile(a.only or "")
    chosen = list(TABLES) if "all" in a.table else a.table
    picked = [] if a.curves else selected(only, chosen, a.alone)
    servers.raise_nofile()
    servers.SCRATCH.mkdir(parents=True, exist_ok=True)
    when = datetime.now(timezone.utc)
    programs = {"ours": a.ours or servers.our_command()}
    if not a.alone:
        programs["peer"] = a.peer or servers.peer_command()
    bench = Bench(a, servers.build_loadgen(), programs)
    command = shlex.join(["tests/bench/bench.py", *sys.argv[1:]])
    facts = {"when": when.strftime("%Y-%m-%d %H:%M UTC"), "commit": servers.commit_line(),
             "machine": servers.machine_line(), "command": command, "rounds": a.rounds}
    stores = any(TABLES[name].stores for name in chosen) if a.curves else any(t.stores for _, t, _ in picked)
    if stores:
        facts["disk"] = disk_line(bench.loadgen)

    def entry(lines, disk=""):
        rounds = f"{a.rounds} round{'s' * (a.rounds > 1)}"
        return "\n".join([f"### {facts['when']} · {facts['commit']}", "",
                          f"{facts['machine']}. {disk}{disk and ' '}`{command}`, {rounds}.", "", *lines])

    entries = []
    try:
        if a.curves:
            lines = measure_curves(bench, only, chosen, a.quick)
            entries.append(("growth", "How cost grows", entry(lines, facts.get("disk", ""))))
        for section, table, rows in picked:
            bench.rounds(table, rows)
            lines = table_lines(table, rows, bench.results, a.quick)
            entries.append((section, table.title, entry(lines, facts["disk"] if table.stores else "")))
    finally:
        raw = servers.SCRATCH / f"results-{when:%Y%m%dT%H%M%SZ}.json"
        raw.write_text(json.dumps({**facts, "results": bench.results}, indent=1))
        report = "\n\n".join(f"## {title}\n\n{text}" for _, title, text in entries)
        raw.with_suffix(".md").write_text(report + "\n")
        print(report)
        log(f"raw results: {raw}")
    if bench.errors():
        raise SystemExit(f"{bench.errors()} errors; nothing recorded")
    if a.record:
        history = HISTORY.read_text()
        for section, _, text in entries:
            history = insert_newest(history, section, text)
        HISTORY.write_text(history)
        log(f"recorded in {HISTORY.relative_to(servers.REPO)}")


if __name__ == "__main__":
    main()
