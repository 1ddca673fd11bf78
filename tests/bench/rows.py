"""What is measured and what has to be reached: the rows of the tables, as data.

`musts` are bounds on ratios ours/peer of medians, against the side that `against` names;
`least` are lower bounds on our own figure. CPU is the server's CPU time per message, for
fan-out per delivery. Payloads have 128 bytes unless the name says otherwise.
"""

from dataclasses import dataclass, field

# Kinds of figures of which less is better; of the others more is.
UPPER = ("cpu", "p50", "p99", "sent", "rss", "time")
UNITS = {"rate": "/s", "cpu": "µs", "p50": "µs p50", "p99": "µs p99", "sent": "µs p99 from sending",
         "created": "created/s", "idle": "% of a core idle", "time": "ms"}


@dataclass(frozen=True)
class Row:
    name: str
    mode: str
    options: str
    musts: dict
    # Which side the musts compare with, and which sides run this row; empty: all of the table.
    against: str = "peer"
    sides: tuple = ()
    least: dict = field(default_factory=dict)
    rate_path: str = "received_per_s"
    cpu_path: str = "server.cpu_us_per_msg"
    # Latency figures too.
    latency: bool = False
    # Figures of memory rows: bytes or KiB each; with several, the worst ratio counts.
    rss: tuple = ()
    rss_unit: str = ""
    # Further figures, (kind, path in a result).
    more: tuple = ()
    # A fresh server for each run, because memory does not come back.
    fresh: bool = False
    quick_options: str = ""
    # Restart rows: how the server ended before, `killed` or `clean`.
    ended: str = ""

    @property
    def tail(self):
        """Its slowest hundredth counts."""
        return "p99" in self.musts

    def figures(self):
        """(kind, path in a result) of everything this row reports."""
        if self.rss or self.more:
            return [*(("rss", path) for path in self.rss), *self.more]
        out = [("cpu", self.cpu_path)]
        if self.name != PACED:
            out.append(("rate", self.rate_path))
        if self.latency:
            out += [("p50", "latency_us.p50"), ("p99", "latency_us.p99")]
        if self.name == PACED:
            out.append(("sent", "from_sending_us.p99"))
        return out

    def unit(self, kind):
        return self.rss_unit if kind == "rss" else UNITS[kind]


@dataclass(frozen=True)
class Table:
    title: str
    rows: list
    # Side -> whose program runs, and its configuration beyond name and ports.
    sides: dict
    # Kinds of ratios that are shown.
    ratios: tuple
    # Whether the servers write to disk, and wait for it.
    stores: bool = False

    def sides_of(self, row):
        return [side for side in self.sides if not row.sides or side in row.sides]


# The core table.


def pubsub(name, options, cpu_max, rate_min, **more):
    return Row(name, "pubsub", f"--size 128 {options}", {"cpu": cpu_max, "rate": rate_min}, **more)


PACED = "paced 10 k/s 1:1"
DELIVERY = "server.cpu_us_per_delivery"

CORE = [
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
        {"cpu": 0.5, "p50": 0.8, "p99": 0.7}, latency=True),
    Row("request/reply, 1 in flight", "reqrep", "--conns 1 --size 128", {"cpu": 0.6, "rate": 1.2}, latency=True),
    Row("request/reply, 64 clients", "reqrep", "--conns 64 --size 128", {"cpu": 0.45, "rate": 1.8, "p99": 0.4},
        latency=True),
    Row("RSS per idle connection", "conns", "--conns 10000 --touch 20 --secs 1", {"rss": 0.3}, fresh=True,
        rss=("rss_kb_per_conn", "rss_kb_per_conn_touched"), rss_unit="KiB",
        quick_options="--conns 1000 --touch 20 --secs 0.5"),
    Row("RSS per subscription, 1 M", "subs", "--n 1000000 --secs 1 --warm 0.5", {"rss": 0.5}, fresh=True,
        rss=("bytes_per_sub",), rss_unit="B", quick_options="--n 100000 --secs 0.5 --warm 0.2"),
]

# Streams of one replica: ours is synced before every acknowledgement, the peer by its
# default (lazy) within two minutes, or before every acknowledgement too (always).

LAZY, ALWAYS = "lazy", "always"


def publish(name, options, musts, against=LAZY, **more):
    return Row(name, "js-pub", f"--size 128 {options}", musts, against=against, **more)


def read(name, options, rate_min):
    fill = "js-consume", f"--fill 500000 {options}"
    return Row(name, *fill, {"rate": rate_min}, against=LAZY, sides=(LAZY, "ours"),
               quick_options=f"--fill 20000 {options}")


STREAMS = [
    publish("R1, 1 in flight", "--window 1", {"rate": 1.2}, against=ALWAYS, latency=True),
    publish("R1, 64 clients × 1", "--window 1 --conns 64", {"rate": 1.2, "cpu": 0.6}, latency=True),
    publish("R1, 512 in flight, 128 B", "--window 512", {"rate": 2.0, "cpu": 0.5}),
    publish("R1, 512 in flight, 1 KiB", "--window 512 --size 1K", {"rate": 1.8}),
    publish("R1, 512 in flight, 16 KiB", "--window 512 --size 16K", {"rate": 1.3}),
    publish("R1 memory, 512 in flight", "--window 512 --storage memory", {"rate": 2.0, "cpu": 0.5},
            sides=(LAZY, "ours")),
    read("pull, no ack", "--how pull --ack none", 2.0),
    read("pull, explicit ack", "--how pull --ack explicit", 2.0),
    read("push, explicit ack", "--how push --ack explicit", 1.5),
    Row("KV put, 64 clients", "kv-put", "--conns 64 --subjects 10000", {"rate": 1.2}, against=LAZY, latency=True,
        quick_options="--conns 64 --subjects 1000"),
    Row("KV get, 64 clients", "kv-get", "--conns 64 --subjects 10000", {"rate": 1.5}, against=LAZY, latency=True,
        sides=(LAZY, "ours"), quick_options="--conns 64 --subjects 1000"),
    Row("RSS per key, 1 M keys", "kv-put", "--conns 64 --subjects 1000000 --settle 3 --secs 0.5 --warm 0.2",
        {"rss": 0.5}, against=LAZY, sides=(LAZY, "ours"), fresh=True, rss=("load_rss_bytes_per_key",), rss_unit="B",
        quick_options="--conns 64 --subjects 100000 --settle 1 --secs 0.5 --warm 0.2"),
]

# What rests, and how long a server is away.


def idle(name, mode, options, rss_max, created_min):
    return Row(name, mode, f"--n 2000 --settle 3 --secs 2 {options}", {"rss": rss_max}, against=LAZY, fresh=True,
               rss=("rss_kb_each",), rss_unit="KiB", more=(("created", "create_per_s"), ("idle", "server.cpu_pct")),
               least={"created": created_min}, quick_options=f"--n 200 --settle 1 --secs 1 {options}")


def restart(what, subjects, ended, time_max):
    fill = f"--msgs {{n}} --subjects {subjects}"
    return Row(f"restart, 1 M {what}: {ended}", "restart", fill.format(n=1_000_000), {"time": time_max}, against=LAZY,
               ended=ended, more=(("time", "ready_ms"),),
               quick_options=f"--msgs 20000 --subjects {min(subjects, 20_000)}")


REST = [
    idle("idle R1 stream", "js-streams", "--window 16", 0.3, 2000),
    idle("idle durable consumer", "js-consumers", "--window 16", 0.1, 4000),
    restart("messages", 1, "killed", 1.5),
    restart("messages", 1, "clean", 1.0),
    restart("subjects", 1_000_000, "killed", 1.0),
    restart("subjects", 1_000_000, "clean", 0.7),
]

JETSTREAM = 'jetstream {{ store_dir: "{dir}/store" }}'
JETSTREAM_ALWAYS = 'jetstream {{ store_dir: "{dir}/store", sync_interval: always }}'

TABLES = {
    "core": Table("Core", CORE, {"peer": ("peer", ()), "ours": ("ours", ())},
                  ("cpu", "rate", "p50", "p99", "sent", "rss")),
    "streams": Table("Streams, one replica", STREAMS,
                     {LAZY: ("peer", (JETSTREAM,)), ALWAYS: ("peer", (JETSTREAM_ALWAYS,)),
                      "ours": ("ours", (JETSTREAM,))}, ("rate", "cpu", "p50", "p99", "rss"), stores=True),
    "rest": Table("Rest and restart, one replica", REST,
                  {LAZY: ("peer", (JETSTREAM,)), "ours": ("ours", (JETSTREAM,))}, ("rss", "created", "time"),
                  stores=True),
}
