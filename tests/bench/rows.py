"""What is measured and what has to be reached: the rows of the core table, as data.

`musts` are bounds on ratios ours/peer of medians: `cpu`, `p50`, `p99` and `rss` are upper
bounds, `rate` is a lower bound. CPU is the server's CPU time per message, for fan-out per
delivery. Payloads have 128 bytes unless the name says otherwise.
"""

from dataclasses import dataclass, field

UPPER = ("cpu", "p50", "p99", "rss")


@dataclass(frozen=True)
class Row:
    name: str
    mode: str
    options: str
    musts: dict
    rate_path: str = "received_per_s"
    cpu_path: str = "server.cpu_us_per_msg"
    # Figures of memory rows: bytes or KiB each; with several, the worst ratio counts.
    rss: tuple = field(default=())
    rss_unit: str = ""
    # A fresh server for each run, because memory does not come back.
    fresh: bool = False
    quick_options: str = ""

    def figures(self):
        """(ratio name, path in a result) of everything this row reports."""
        if self.rss:
            return [("rss", path) for path in self.rss]
        out = [("cpu", self.cpu_path)]
        if self.name != PACED:
            out.append(("rate", self.rate_path))
        if self.mode == "reqrep" or "--latency" in self.options:
            out += [("p50", "latency_us.p50"), ("p99", "latency_us.p99")]
        return out


def pubsub(name, options, cpu_max, rate_min, **more):
    return Row(name, "pubsub", f"--size 128 {options}", {"cpu": cpu_max, "rate": rate_min}, **more)


PACED = "paced 10 k/s 1:1"
DELIVERY = "server.cpu_us_per_delivery"

ROWS = [
    pubsub("publish only", "--subs 0", 0.6, 1.5, rate_path="sent_per_s"),
    pubsub("1:1 16 B", "--subs 1 --size 16", 0.35, 2.0),
    pubsub("1:1 128 B", "--subs 1", 0.35, 2.0),
    pubsub("1:1 1 KiB", "--subs 1 --size 1K", 0.5, 1.5),
    pubsub("1:1 16 KiB", "--subs 1 --size 16K", 0.6, 1.4),
    pubsub("fan-out 10", "--subs 10", 0.25, 2.5, cpu_path=DELIVERY),
    pubsub("fan-out 100", "--subs 100", 0.3, 2.0, cpu_path=DELIVERY),
    pubsub("fan-in 10", "--pubs 10 --subs 1", 0.35, 2.0),
    pubsub("queue group of 10", "--subs 10 --queue g", 0.3, 2.0),
    pubsub("100,000 subjects", "--subs 1 --subjects 100000", 0.4, 2.0),
    Row(PACED, "pubsub", "--subs 1 --rate 10000 --batch 1 --size 128 --latency",
        {"cpu": 0.5, "p50": 0.8, "p99": 0.7}),
    Row("request/reply, 1 in flight", "reqrep", "--conns 1 --size 128", {"cpu": 0.6, "rate": 1.2}),
    Row("request/reply, 64 clients", "reqrep", "--conns 64 --size 128", {"cpu": 0.45, "rate": 1.8, "p99": 0.4}),
    Row("RSS per idle connection", "conns", "--conns 10000 --touch 20 --secs 1", {"rss": 0.3}, fresh=True,
        rss=("rss_kb_per_conn", "rss_kb_per_conn_touched"), rss_unit="KiB",
        quick_options="--conns 1000 --touch 20 --secs 0.5"),
    Row("RSS per subscription, 1 M", "subs", "--n 1000000 --secs 1 --warm 0.5", {"rss": 0.5}, fresh=True,
        rss=("bytes_per_sub",), rss_unit="B", quick_options="--n 100000 --secs 0.5 --warm 0.2"),
]
