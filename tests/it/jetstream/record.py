#!/usr/bin/env python3
"""Plays the transcripts beside this file to a nats-server and says where they differ.

    tests/it/jetstream/record.py NATS_SERVER            compares
    tests/it/jetstream/record.py --update NATS_SERVER   writes what the server said
    ... [NAME]                     only files and scenarios whose name contains NAME

The format is described in `mod.rs`, which plays the same files to our own server. Lines
of answers (`<`, `*`, `=`) are what nats-server said and are never written by hand.
"""

import concurrent.futures
import difflib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
QUIET = 0.3
# So long is silence; a busy machine may need more.
PATIENCE = float(os.environ.get("PATIENCE", 3))
BASE = """
server_name: golden
listen: "127.0.0.1:-1"
http: "127.0.0.1:-1"
"""
JETSTREAM = 'jetstream { store_dir: "@DIR/data", max_mem: 64MB, max_file: 64MB }\n'
ANSWER = re.compile(r"[<*=]( |$)")
# What is another's at every run: the shape, and what stands for it.
VARYING = [
    (r'\b20[23]\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z', "<time>"),
    (r'"_nats\.ver":"[^"]*"', '"_nats.ver":"<version>"'),
    (r'"_nats\.level":"\d+"', '"_nats.level":"<level>"'),
    (r'"level":\d+', '"level":"<level>"'),
    (r'"active":\d+', '"active":"<nanos>"'),
    (r'"pause_remaining":\d+', '"pause_remaining":"<nanos>"'),
    (r'"(server_id|id|now|store_dir)":"[^"]*"', r'"\1":"<\1>"'),
]


def normalised(text):
    for shape, word in VARYING:
        text = re.sub(shape, word, text)
    return text.replace("\n", "\\n").replace("\r", "\\r")


def expanded(text):
    """Undoes `\\{piece*count}`."""
    return re.sub(r"\\{([^{}]*)\*(\d+)}", lambda m: m[1] * int(m[2]), text)


class Server:
    def __init__(self, program, conf):
        self.dir = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.dir.name)
        text = BASE + "\n".join(conf) + "\n"
        if "jetstream" not in re.sub(r"accounts.*", "", text, flags=re.S):
            text += JETSTREAM
        text += f'ports_file_dir: "{path}"\n'
        (path / "server.conf").write_text(text.replace("@DIR", self.dir.name))
        self.log = path / "log"
        self.process = subprocess.Popen(
            [*program.split(), "-c", str(path / "server.conf")],
            stdout=subprocess.DEVNULL, stderr=self.log.open("w"))
        deadline = time.monotonic() + 20
        while True:
            for file in path.glob("*.ports"):
                if text := file.read_text().strip():
                    ports = json.loads(text)
                    self.port = int(ports["nats"][0].rsplit(":", 1)[1])
                    self.http = int(ports["monitoring"][0].rsplit(":", 1)[1])
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.01)

    def get(self, path):
        link = http.client.HTTPConnection("127.0.0.1", self.http)
        link.request("GET", path)
        answer = link.getresponse()
        body = answer.read().decode()
        try:
            body = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False)
        except ValueError:
            pass
        # How often the server asks itself is its own business.
        body = re.sub(r'"total":\d+,"errors":\d+', '"total":"<count>","errors":"<count>"', body)
        body = re.sub(r',"inflight":\d+', "", body)
        return f"{answer.status} {body}"

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.dir.cleanup()


class Client:
    def __init__(self, port, user):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.buffer = b""
        self.count = 0
        self.heard = []
        self.line(5)
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True,
                   "name": "golden", "lang": "python3", "version": "1.2.3", "protocol": 1}
        if user:
            options |= {"user": user, "pass": user}
        self.send(f"CONNECT {json.dumps(options)}\r\nSUB _INBOX.golden.> inbox\r\nPING\r\n")
        while (line := self.line(5)) != b"PONG":
            if line is None or line.startswith(b"-ERR"):
                raise RuntimeError(f"{user}: {line}")

    def send(self, text):
        self.socket.sendall(text.encode())

    def line(self, wait):
        deadline = time.monotonic() + wait
        while b"\r\n" not in self.buffer:
            if not self.more(deadline):
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 20)
        except TimeoutError:
            return False
        self.buffer += data
        return bool(data)

    def message(self, wait):
        """The next message as (subject, text of the transcript)."""
        deadline = time.monotonic() + wait
        while (line := self.line(deadline - time.monotonic())) is not None:
            if line == b"PING":
                self.send("PONG\r\n")
            if line.startswith(b"-ERR"):
                raise RuntimeError(line)
            words = line.split()
            if words[:1] not in ([b"MSG"], [b"HMSG"]):
                continue
            size = int(words[-1])
            while len(self.buffer) < size + 2:
                self.more(time.monotonic() + 5)
            data, self.buffer = self.buffer[:size], self.buffer[size + 2:]
            headers = b""
            if words[0] == b"HMSG":
                at = int(words[-2])
                headers, data = data[:at], data[at:]
            text = data.decode(errors="replace")
            if headers:
                lines = headers.decode().removeprefix("NATS/1.0").strip().split("\r\n")
                text = f"({' | '.join(line.strip() for line in lines)}) {text}".strip()
            return words[1].decode(), normalised(text)
        return None

    def publish(self, subject, reply, body, headers):
        subject, body = expanded(subject), expanded(body)
        size = len(body.encode())
        if headers:
            block = "NATS/1.0\r\n" + "".join(f"{expanded(h)}\r\n" for h in headers) + "\r\n"
            self.send(f"HPUB {subject} {reply} {len(block)} {len(block) + size}\r\n{block}{body}\r\n")
        else:
            self.send(f"PUB {subject} {reply} {size}\r\n{body}\r\n")

    def request(self, subject, body, headers, suffix, many):
        self.count += 1
        reply = f"_INBOX.golden.{self.count}{suffix}"
        self.publish(subject, reply, body, headers)
        answers, wait = [], PATIENCE
        while message := self.message(wait):
            if message[0] == reply:
                answers.append(f"< {message[1]}".strip())
                if not many:
                    break
                wait = QUIET
            elif not message[0].startswith("_INBOX.golden."):
                self.heard.append(f"* {message[0]} {message[1]}".strip())
        return answers


def play(program, scenario):
    conf = [line[5:] for line in scenario if line.startswith("conf ")]
    lines = []
    server = Server(program, conf)
    try:
        clients, user, headers, suffix = {}, "", [], ""

        def client():
            if user not in clients:
                clients[user] = Client(server.port, user)
            return clients[user]

        for line in scenario:
            if ANSWER.match(line):
                continue
            lines.append(line)
            word, _, rest = line.partition(" ")
            if word == "as":
                user = rest
            elif word == "+":
                headers.append(rest)
            elif word in (">", ">>"):
                subject, _, body = rest.partition(" ")
                lines += client().request(subject, body, headers, suffix, word == ">>")
                headers, suffix = [], ""
            elif word == "reply":
                suffix = rest
            elif word == "publish":
                subject, _, body = rest.partition(" ")
                client().publish(subject, "", body, headers)
                headers = []
            elif word == "listen":
                client().send(f"SUB {rest} heard\r\n")
            elif word == "heard":
                while message := client().message(QUIET):
                    client().heard.append(f"* {message[0]} {message[1]}".strip())
                lines += client().heard
                client().heard = []
            elif word == "get":
                lines.append(f"= {normalised(server.get(rest))}")
            elif word == "wait":
                time.sleep(float(rest))
        return lines
    except Exception as error:
        return lines + [f"! {error}"]
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
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
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
