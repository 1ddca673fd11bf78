"""Server processes: start on ports of their own choice, stop, restart, signal.

A server is started with `port: -1` and tells its ports through `ports_file_dir`;
from then on it keeps them, so that clients and routes can come back to it.
Every wait here is on a condition with a deadline; none is a plain sleep.
"""

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

START_DEADLINE_S = 15
STOP_DEADLINE_S = 10
RELOAD_DEADLINE_S = 10
POLL_S = 0.01


# How a server says that it lacks what its configuration asks for; the sentence ends with the line.
UNBUILT = re.compile(r"(?:^|: )([^:\\\n]*\bnot part of this release\b[^\\\n]*)", re.MULTILINE)


class ServerError(Exception):
    """A server did not do what it was asked to; the text says which and what."""


class Unbuilt(Exception):
    """A server refused its configuration as something it does not have yet; the text is its sentence."""


def wait_for(what, deadline_s, condition):
    """Polls `condition` until it returns something true; raises `ServerError` naming `what`."""
    end = time.monotonic() + deadline_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise ServerError(f"{what}: not within {deadline_s} s")
        time.sleep(POLL_S)


class Server:
    """One named server with its configuration variants and, while it runs, its process."""

    def __init__(self, name, command, variants, folder: Path):
        self.name, self.command, self.variants, self.folder = name, command, variants, folder
        self.variant, self.port, self.monitor_port, self.process = "base", -1, -1, None
        # A reload must repeat the ports its process was started with, even -1.
        self.ports_started_with = (-1, -1)
        folder.mkdir(parents=True, exist_ok=True)
        self.route, self.cluster_port = None, -1
        self.config, self.log = folder / "server.conf", folder / "server.log"

    def _write_config(self):
        port, monitor_port = self.ports_started_with
        self.config.write_text(
            f'server_name: "compat-{self.name}"\nlisten: "127.0.0.1:{port}"\n'
            f'http: "127.0.0.1:{monitor_port}"\nports_file_dir: "{self.folder}"\n'
            + self.variants[self.variant].replace("@cluster_port@", str(self.cluster_port))
            .replace("@store@", str(self.folder / "store")))

    def launch(self):
        """Starts the process without waiting for it, so that many start side by side."""
        if self.process is not None:
            raise ServerError(f"{self.name} is running already")
        for stale in self.folder.glob("*.ports"):
            stale.unlink()
        self.ports_started_with = (self.port, self.monitor_port)
        self._write_config()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.command, "-c", str(self.config)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.folder)

    def await_ready(self):
        """Returns when the client port accepts connections."""
        ports = wait_for(f"{self.name} writes its ports file", START_DEADLINE_S, self._ports)
        self.port = urlsplit(ports["nats"][0]).port
        self.monitor_port = urlsplit(ports["monitoring"][0]).port
        if ports.get("cluster"):
            self.route = ports["cluster"][0]
            self.cluster_port = urlsplit(self.route).port
        wait_for(f"{self.name} listens", START_DEADLINE_S, self._listens)

    def _ports(self):
        if self.process.poll() is not None:
            said = UNBUILT.search(self.log.read_text(errors="replace"))
            if said:
                raise Unbuilt(said[1].strip())
            raise ServerError(f"{self.name} ended with {self.process.returncode}: {self.tail()}")
        for path in self.folder.glob("*.ports"):
            try:
                ports = json.loads(path.read_text())
            except ValueError:
                return None  # half written
            return ports if ports.get("nats") and ports.get("monitoring") else None
        return None

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def start(self):
        self.launch()
        self.await_ready()

    def stop(self):
        """Kills hard: clients see a broken connection, as after a crash."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.kill()
        process.wait(STOP_DEADLINE_S)

    def quit(self):
        """Asks it to end (SIGTERM) and waits until it has; what it keeps is kept then."""
        if self.process is None:
            raise ServerError(f"{self.name} is not running")
        self.process.terminate()
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ServerError(f"{self.name} does not end within {STOP_DEADLINE_S} s of SIGTERM") from None
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def relaunch(self):
        self.quit()
        self.start()

    def signal(self, what):
        if self.process is None:
            raise ServerError(f"{self.name} is not running")
        if what == "reload":
            self.reload()
            return
        signals = {"ldm": signal.SIGUSR2, "pause": signal.SIGSTOP, "resume": signal.SIGCONT}
        if what not in signals:
            raise ServerError(f"no signal {what}")
        self.process.send_signal(signals[what])

    def reload(self):
        """Sends SIGHUP and waits until the log says that the reload was done."""
        before = self.log.stat().st_size
        self.process.send_signal(signal.SIGHUP)

        def reloaded():
            with open(self.log, "rb") as log:
                log.seek(before)
                fresh = log.read().decode(errors="replace")
            if "Failed to reload" in fresh:
                raise ServerError(f"{self.name}: {fresh.strip()}")
            return "Reloaded server configuration" in fresh

        wait_for(f"{self.name} reloads", RELOAD_DEADLINE_S, reloaded)

    def configure(self, variant):
        if variant not in self.variants:
            raise ServerError(f"{self.name} has no variant {variant}")
        self.variant = variant
        self._write_config()
        self.reload()

    def tail(self, lines=5):
        """The end of the log, for messages."""
        if not self.log.exists():
            return ""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def describe(self):
        """This server's entry in the contract's JSON."""
        return {"url": f"nats://127.0.0.1:{self.port}", "host": "127.0.0.1", "port": self.port,
                "name": f"compat-{self.name}", "monitor": f"http://127.0.0.1:{self.monitor_port}"}


ROUTE = re.compile("@route:([a-z_]+)@")


class Fleet:
    """All servers of one language's run. A context manager: leaving stops every process.

    A server that does not start is a finding (`unstarted`, by name with the reason),
    not the end of the run: the scenarios of the others still say something. One that
    says of itself that it lacks the feature is `unbuilt`, if that is allowed for its
    name (`may_be_unbuilt`); else that is a finding, too.
    """

    def __init__(self, command, servers, material, folder: Path, may_be_unbuilt=frozenset()):
        self.unstarted, self.unbuilt, self.may_be_unbuilt = {}, {}, may_be_unbuilt
        self.servers = {name: Server(name, command, variants(material), folder / name)
                        for name, variants in servers.items()}

    def __enter__(self):
        routed = [server for server in self.servers.values() if ROUTE.search(server.variants["base"])]
        try:
            self._start([server for server in self.servers.values() if server not in routed])
            self._start([server for server in routed if self._fill_in_routes(server)])
        except BaseException:
            self._stop()
            raise
        return self

    def _fill_in_routes(self, server):
        """Writes the addresses of its peers into a configuration; without a peer it shares that one's fate."""
        for peer in ROUTE.findall(server.variants["base"]):
            if peer in self.unbuilt:
                self.unbuilt[server.name] = self.unbuilt[peer]
                return False
            if peer in self.unstarted:
                self.unstarted[server.name] = f"{peer} did not start"
                return False
        server.variants = {variant: ROUTE.sub(lambda found: self.servers[found[1]].route, text)
                           for variant, text in server.variants.items()}
        return True

    def _start(self, servers):
        for server in servers:
            server.launch()
        for server in servers:
            try:
                server.await_ready()
            except Unbuilt as sentence:
                pile = self.unbuilt if server.name in self.may_be_unbuilt else self.unstarted
                pile[server.name] = str(sentence)
                server.stop()
            except ServerError as error:
                self.unstarted[server.name] = str(error)
                server.stop()

    def describe(self):
        """The servers' part of the contract's JSON."""
        described = {name: server.describe() for name, server in self.servers.items()
                     if name not in self.unstarted and name not in self.unbuilt}
        described.update({name: {"unbuilt": sentence} for name, sentence in self.unbuilt.items()})
        return described

    def __exit__(self, *_):
        self._stop()

    def _stop(self):
        for server in self.servers.values():
            server.stop()

    def ended(self):
        """Names of servers whose process ended by itself: a crash, unless lame duck mode was asked for."""
        return {name: server.process.returncode for name, server in self.servers.items()
                if server.process is not None and server.process.poll() is not None}
