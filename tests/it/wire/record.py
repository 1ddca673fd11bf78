#!/usr/bin/env python3
"""Plays the transcripts beside this file to a nats-server and says where they differ.

    tests/it/wire/record.py NATS_SERVER            compares
    tests/it/wire/record.py --update NATS_SERVER   writes what the server said
    ... [NAME]                                     only scenarios whose name contains NAME

The format is described in `mod.rs`, which plays the same files to our own server. Lines
of answers (`a<`, `a<<`, `a closed`) are what nats-server said and are never written by hand.
"""

import concurrent.futures
import difflib
import json
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
QUIET = 0.25
# Values of INFO that are another's at every start, replaced in both directions.
CHANGING = {
    "server_id", "version", "git_commit", "go", "port", "client_id", "nonce", "xkey", "api_lvl",
}


def escape(data):
    out = []
    for byte in data:
        char = chr(byte)
        if char == "\\":
            out.append("\\\\")
        elif char == "\r":
            out.append("\\r")
        elif char == "\n":
            out.append("\\n")
        elif char == "\t":
            out.append("\\t")
        elif 0x20 <= byte < 0x7F:
            out.append(char)
        else:
            out.append(f"\\x{byte:02x}")
    text = "".join(out)
    # A blank at the end would not survive editors.
    return text[:-1] + "\\x20" if text.endswith(" ") else text


def unescape(text):
    def one(match):
        word = match[1]
        if word[0] == "x":
            return chr(int(word[1:], 16))
        return {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}[word]

    text = re.sub(r"\\{([^{}]*)\*(\d+)}", lambda m: m[1] * int(m[2]), text)
    return re.sub(r"\\(x[0-9a-f]{2}|.)", one, text).encode("latin-1")


def normalised(line):
    """An INFO line with what changes replaced; order and escapes are kept."""
    for key in CHANGING:
        line = re.sub(rf'"{key}":("[^"]*"|\d+)', f'"{key}":"<{key}>"', line)
    line = re.sub(r'"server_name":"N[A-Z2-7]{55}"', '"server_name":"<server_id>"', line)
    line = re.sub(r'"((?:ws_)?connect_urls)":\[[^]]*\]', r'"\1":["<\1>"]', line)
    return line


def answer_lines(name, data):
    """Bytes as lines of a transcript."""
    lines = []
    for part in re.findall(rb"[^\n]*\n|[^\n]+", data):
        text = part.decode("latin-1")
        if text.startswith("INFO {") and text.endswith("\r\n"):
            part = normalised(text).encode("latin-1")
        if part.endswith(b"\r\n"):
            body = escape(part[:-2])
            lines.append(f"{name}< {body}" if body else f"{name}<")
        else:
            lines.append(f"{name}<< {escape(part)}")
    return lines


class Server:
    def __init__(self, program, conf):
        self.dir = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.dir.name)
        text = 'listen: "127.0.0.1:-1"\nhttp: "127.0.0.1:-1"\n'
        text += f'ports_file_dir: "{path}"\n' + "\n".join(conf) + "\n"
        (path / "server.conf").write_text(text)
        self.process = subprocess.Popen(
            [program, "-c", str(path / "server.conf")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            for file in path.glob("*.ports"):
                if text := file.read_text().strip():
                    ports = json.loads(text)
                    self.port = int(ports["nats"][0].rsplit(":", 1)[1])
                    self.monitor = ports["monitoring"][0]
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not start with {conf}")
            time.sleep(0.01)

    def reason(self, port):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            url = f"{self.monitor}/connz?state=closed&limit=1024"
            with urllib.request.urlopen(url) as response:
                for connection in json.load(response)["connections"]:
                    if connection["port"] == port:
                        return connection["reason"]
            time.sleep(0.02)
        return "?"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.dir.cleanup()


class Player:
    def __init__(self, server):
        self.server = server
        self.sockets = {}
        self.quiet = QUIET
        self.lines = []

    def open(self, name, shown):
        sock = socket.create_connection(("127.0.0.1", self.server.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets[name] = sock
        if shown:
            self.collect()
            return
        sock.settimeout(5)
        seen = b""
        while not seen.endswith(b"\n"):
            if not (byte := sock.recv(1)):
                raise RuntimeError(f"closed instead of INFO: {seen}")
            seen += byte

    def collect(self):
        """Reads from everybody until nobody has said anything for a while."""
        got = {name: b"" for name in self.sockets}
        ended = set()
        last = time.monotonic()
        while time.monotonic() - last < self.quiet:
            for name, sock in self.sockets.items():
                if name in ended:
                    continue
                sock.settimeout(0.005)
                try:
                    data = sock.recv(1 << 20)
                except TimeoutError:
                    continue
                except OSError:
                    data = b""
                last = time.monotonic()
                got[name] += data
                if not data:
                    ended.add(name)
        self.quiet = QUIET
        for name, data in got.items():
            self.lines += answer_lines(name, data)
            if name in ended:
                port = self.sockets.pop(name).getsockname()[1]
                self.lines.append(f"{name} closed {self.server.reason(port)}")

    def send(self, name, data, bytewise):
        try:
            if not bytewise:
                self.sockets[name].sendall(data)
                return
            for at in range(len(data)):
                self.sockets[name].sendall(data[at:at + 1])
        except (OSError, KeyError):
            pass  # closed meanwhile; what was said before is read all the same


SEND = re.compile(r"([a-z])(>>?|/) ?(.*)")
ANSWER = re.compile(r"[a-z](<<?( |$)| closed )")


def play(program, scenario):
    conf = [line[5:] for line in scenario if line.startswith("conf ")]
    server = Server(program, conf)
    try:
        player = Player(server)
        pending = None
        for line in scenario:
            if ANSWER.match(line):
                continue
            sent = SEND.match(line)
            if pending and (not sent or sent[1] != pending[0]):
                player.send(*pending)
                pending = None
                player.collect()
            if sent:
                name, how, text = sent.groups()
                data = unescape(text) + (b"" if how == ">>" else b"\r\n")
                before = pending[1] if pending else b""
                pending = (name, before + data, how == "/")
            player.lines.append(line)
            words = line.split()
            if words[:1] == ["open"]:
                player.open(words[1], words[2:] == ["shown"])
            elif words[:1] == ["hangup"]:
                player.sockets.pop(words[1]).close()
                time.sleep(0.1)
            elif words[:1] == ["reset"]:
                sock = player.sockets.pop(words[1])
                port = sock.getsockname()[1]
                linger = struct.pack("ii", 1, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                sock.close()
                if (reason := server.reason(port)) != "Read Error":
                    player.lines.append(f"# reset: {reason}")
            elif words[:1] == ["slow"]:
                player.quiet = float(words[1])
                player.collect()
        if pending:
            player.send(*pending)
            player.collect()
        return player.lines
    finally:
        server.stop()


def split(text):
    """A file's head and its scenarios, each beginning with `== name`."""
    head, scenarios = [], []
    for line in text.splitlines():
        if line.startswith("== "):
            scenarios.append([line])
        else:
            (scenarios[-1] if scenarios else head).append(line)
    return head, scenarios


def main():
    arguments = sys.argv[1:]
    update = "--update" in arguments
    arguments = [a for a in arguments if a != "--update"]
    program, wanted = arguments[0], (arguments + [""])[1]
    different = total = 0
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for file in sorted((HERE / "scenarios").glob("*.txt")):
            head, scenarios = split(file.read_text())
            futures = []
            for scenario in scenarios:
                chosen = wanted in scenario[0] or wanted in file.name
                futures.append(pool.submit(play, program, scenario) if chosen else None)
            told = []
            for scenario, future in zip(scenarios, futures):
                lines = future.result() if future else scenario
                while lines and not lines[-1]:
                    lines.pop()
                while scenario and not scenario[-1]:
                    scenario.pop()
                total += future is not None
                if lines != scenario and not update:
                    different += 1
                    print(f"{file.name}: {scenario[0]}")
                    for line in difflib.unified_diff(scenario, lines, lineterm="", n=1):
                        print(f"  {line}")
                told.append(lines)
            if update:
                text = "\n".join(head).rstrip() + "\n"
                text += "".join("\n" + "\n".join(lines) + "\n" for lines in told)
                file.write_text(text)
    print(f"{total} scenarios, {different} different")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
