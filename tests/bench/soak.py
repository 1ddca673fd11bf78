#!/usr/bin/env python3
"""Soak: loads that come and go, with one question each: does the server come back?

    soak.py            10,000 connections x 5 rounds, 1,000 slow consumers x 3 rounds,
                       100,000 subscriptions churned for a minute
    soak.py --quick    the same, small (under a minute; part of `make test`)

Server and load are processes of their own. Memory after the first round is the measure
for every later one: it may grow by --flat percent (5) plus 2 MiB of noise (quick: 4 MiB).
The server remembers no more closed connections than one round has, so that this memory
is full after the first round. Slow consumers must all be cut off and counted, while healthy subscribers lose no message. Exit
status 1 if anything of this fails.
"""

import argparse
import re
import sys
import time

import servers

NOISE_KB = 2048
QUICK_NOISE_KB = 4096
# After a load: the server collects its memory once it has been at rest for a while.
REST_SECS = 4


class Soak:
    def __init__(self, args):
        self.args = args
        self.loadgen = servers.build_loadgen()
        self.command = args.server or servers.our_command("dev" if args.debug_build else "release")
        self.failures = 0

    def check(self, ok, text):
        self.failures += not ok
        print(f"  {'ok  ' if ok else 'FAIL'} {text}", flush=True)

    def check_flat(self, what, rss_kb):
        """Memory after each round against the first."""
        shown = " ".join(f"{kb / 1024:.1f}" for kb in rss_kb)
        if len(rss_kb) < 2:
            self.check(False, f"{what}: one round only, nothing to compare: {shown} MiB")
            return
        growth_pct = (max(rss_kb[1:]) / rss_kb[0] - 1) * 100
        noise_kb = QUICK_NOISE_KB if self.args.quick else NOISE_KB
        bound = rss_kb[0] * (1 + self.args.flat / 100) + noise_kb
        self.check(max(rss_kb[1:]) <= bound, f"{what}: {growth_pct:+.1f} % after the first round; MiB: {shown}")

    def server(self, *extra):
        return servers.Server("soak", self.command, extra)

    def run(self, server, mode, options):
        return servers.generate(self.loadgen, server, mode, options)

    def connections(self):
        """Connections opened and closed, round after round."""
        n, rounds = (500, 4) if self.args.quick else (10_000, self.args.rounds or 5)
        print(f"{n} connections opened and closed, {rounds} rounds", flush=True)
        with self.server(f"max_closed_clients: {n}") as s:
            r = self.run(s, "churn-conns", f"--conns {n} --rounds {rounds}")
            # The first time all are open is before the end of the first round.
            self.check_flat("memory with all open", r["rss_kb_open"][1:])
            self.check_flat("memory with all closed", r["rss_kb_closed"])
            left = (s.get("/varz") or {}).get("connections")
            self.check(left == 0, f"connections still counted: {left}")

    def slow_consumers(self):
        """Subscribers that never read, beside some that check every sequence number."""
        slow, rounds, mb = (50, 3, 8) if self.args.quick else (1000, self.args.rounds or 3, 8)
        print(f"{slow} slow consumers with max_pending 256 KiB, {rounds} rounds", flush=True)
        with self.server("max_pending: 262144", "max_payload: 65536", f"max_closed_clients: {slow}") as s:
            after = []
            for _ in range(rounds):
                r = self.run(s, "slow-consumers", f"--slow {slow} --mb {mb}")
                self.check(r["lost"] == 0, f"healthy subscribers lost {r['lost']} of {r['sent']} messages")
                self.check(r["cut"] == slow, f"{r['cut']} of {slow} slow consumers cut off, "
                           f"{r['rss_kb_held'] / 1024:.1f} MiB meanwhile")
                time.sleep(REST_SECS)
                after.append(s.rss_kb())
            self.check_flat("memory after each round", after)
            counted = (s.get("/varz") or {}).get("slow_consumers")
            self.check(counted == slow * rounds, f"/varz counts {counted} slow consumers of {slow * rounds}")

    def subscriptions(self):
        """A large set of subscriptions replaced over and over."""
        n, secs = (5_000, 4) if self.args.quick else (100_000, 60)
        print(f"{n} subscriptions churned for {secs} s", flush=True)
        with self.server() as s:
            before = (s.get("/varz") or {}).get("subscriptions")
            r = self.run(s, "churn-subs", f"--n {n} --secs {secs}")
            samples = r["rss_kb_turnover"]
            # The first turnover still fills what the allocator keeps.
            self.check_flat(f"memory per turnover ({r['replaced']:,} replaced)", thin(samples, 12))
            time.sleep(1)
            left = (s.get("/varz") or {}).get("subscriptions")
            self.check(left is not None and left == before, f"subscriptions counted: {before} before, {left} after")


def thin(samples, most):
    """At most `most` of the samples, the first, the last and the largest among them."""
    if len(samples) <= most:
        return samples
    step = len(samples) / (most - 2)
    picked = {int(i * step) for i in range(most - 2)} | {len(samples) - 1, samples.index(max(samples))}
    return [samples[i] for i in sorted(picked)]


PARTS = {"connections": Soak.connections, "slow": Soak.slow_consumers, "subscriptions": Soak.subscriptions}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="small enough for every test run")
    p.add_argument("--only", metavar="REGEX", default="", help="parts whose name matches: " + ", ".join(PARTS))
    p.add_argument("--rounds", type=int, help="rounds of the first two parts")
    p.add_argument("--flat", type=float, default=5, help="growth allowed after the first round, in percent")
    p.add_argument("--server", metavar="COMMAND", help="another server; {conf} is replaced")
    p.add_argument("--debug-build", action="store_true", help="use the unoptimized build of our server")
    a = p.parse_args()
    servers.raise_nofile()
    soak = Soak(a)
    for name, part in PARTS.items():
        if re.search(a.only, name):
            started = time.monotonic()
            part(soak)
            print(f"  ({name}: {time.monotonic() - started:.0f} s)", flush=True)
    sys.exit(1 if soak.failures else 0)


if __name__ == "__main__":
    main()
