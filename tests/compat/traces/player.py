"""Plays one scenario over a raw connection and writes down what comes back.

The language of scenarios is described in `main.py`. Every scenario has an account of its
own, so names may be the same everywhere. What differs from run to run (times, ids) is
replaced by what it is; everything else is compared as it came.
"""

import base64
import datetime
import json
import re
import socket
import time

# How long nobody may say anything until a step is over: when recording, and when what is
# expected has already come.
QUIET_RECORDING, QUIET_PLAYING = 0.35, 0.06
# How long anything expected may take.
PATIENCE = 10.0
# The same, for an answer that is not to come.
IMPATIENCE = 3.0

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
ACK = re.compile(r"\$JS\.ACK\.([^.]+)\.([^.]+)\.(\d+)\.(\d+)\.(\d+)\.\d+\.(\d+)")
ACK_SHOWN = r"ack(\1.\2 d\3 s\4 c\5 p\6)"
# Keys whose values are a duration, an id, or say which server it is.
DURATIONS = {"ack_time", "pause_remaining", "active"}
IDS = {"id", "server_id"}
DROPPED = {"cluster", "client", "server"}


def relaxed(text):
    """JSON with bare words, `@2s` for nanoseconds and `@now+2s` for a time, as JSON."""

    def moment(match):
        shift = float(match[1] + match[2]) if match[1] else 0
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=shift)
        return json.dumps(at.isoformat().replace("+00:00", "Z"))

    if not text.startswith(("{", "[")):
        return text
    pieces = re.split(r'("(?:[^"\\]|\\.)*")', text)
    for at in range(0, len(pieces), 2):
        piece = re.sub(r"@now(?:([+-])(\d+(?:\.\d+)?)s)?", moment, pieces[at])
        inner = re.split(r'("(?:[^"\\]|\\.)*")', piece)
        for index in range(0, len(inner), 2):
            bare = re.sub(r"@(\d+(?:\.\d+)?)(ms|s|m)", lambda m: str(round(float(m[1]) * {"ms": 1e6, "s": 1e9, "m": 60e9}[m[2]])), inner[index])
            inner[index] = re.sub(r"[A-Za-z_][A-Za-z_0-9]*", lambda m: m[0] if m[0] in ("true", "false", "null") else f'"{m[0]}"', bare)
        pieces[at] = "".join(inner)
    return "".join(pieces)


def shown_time(match):
    """A time of these days is no more than a time."""
    return "<time>" if match[0].startswith(("202", "203")) and not match[0].startswith(("2020", "2039")) else match[0]


def is_made_up(name):
    """Eight letters and digits of a server's own; ours in the scenarios are words."""
    return bool(re.fullmatch(r"[A-Za-z0-9]{8}", name)) and not re.fullmatch(r"[A-Z]?[a-z]{7,}", name)


def shown_value(value, key=""):
    if isinstance(value, dict):
        kept = {k: shown_value(v, k) for k, v in value.items() if k not in DROPPED and not k.startswith("_nats.")}
        kept.pop("metadata", None) if kept.get("metadata") == {} else None
        # How far a source that is refused lags depends on when it is looked at.
        kept.pop("lag", None) if "error" in kept else None
        return kept
    if isinstance(value, list):
        return sorted((shown_value(one, key) for one in value), key=str if key in ("sources", "consumers") else lambda _: 0)
    if key == "hdrs":
        return shown_headers(base64.b64decode(value))
    if key in DURATIONS and isinstance(value, int) and value > 0:
        return "<ns>"
    if key in IDS and isinstance(value, str):
        return "<id>"
    if isinstance(value, str):
        if key in ("name", "consumer") and is_made_up(value):
            return "<name>"
        if value.startswith("{"):
            return shown_text(value)
        return TIME.sub(shown_time, value)
    return value


def shown_text(text):
    if text.startswith("{"):
        try:
            return json.dumps(shown_value(json.loads(text)), sort_keys=True, ensure_ascii=False)
        except ValueError:
            pass
    if len(text) > 200:
        return f"<{len(text)} bytes>"
    return json.dumps(TIME.sub(shown_time, text), ensure_ascii=False)


def shown_subject(subject):
    subject = ACK.sub(ACK_SHOWN, subject)
    return re.sub(r"^(\$JS\.FC\.[^.]+\.[^.]+)\.\w+$", r"\1.<id>", subject)


def shown_headers(block):
    lines = block.decode("latin-1").split("\r\n")
    status, fields = lines[0][len("NATS/1.0"):].strip(), [line for line in lines[1:] if line]
    fields = [re.sub(r"(\$JS\.FC\.[^.]+\.[^.]+)\.\w+", r"\1.<id>", ACK.sub(ACK_SHOWN, TIME.sub(shown_time, field))) for field in fields]
    fields = [re.sub(r"^(Nats-Stream-Source: .* )\w{8}$", r"\1<identity>", field) for field in fields]
    return "[" + "; ".join(([status] if status else []) + fields) + "]"


class Player:
    def __init__(self, address, user, recording, quit_server=None):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.recording, self.quit_server = recording, quit_server
        self.patience = IMPATIENCE if recording else PATIENCE
        self.buffer, self.aliases, self.sids = b"", {}, {}
        self.got, self.delivered, self.flow = [], [], []
        self.inboxes, self.pongs, self.is_closed = 0, 0, False
        self.send("CONNECT " + json.dumps({"verbose": False, "headers": True, "no_responders": True, "protocol": 1,
                                           "lang": "trace", "version": "1", "user": user, "pass": user}) + "\r\n")
        self.round_trip()

    def close(self):
        self.socket.close()

    def send(self, text):
        data = text if isinstance(text, bytes) else text.encode("latin-1")
        try:
            self.socket.sendall(data)
        except OSError:
            self.is_closed = True

    # Reading

    def read(self, timeout):
        """Reads what comes within `timeout`; whether something came."""
        self.socket.settimeout(max(timeout, 0.001))
        try:
            data = self.socket.recv(1 << 20)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        if not data:
            self.is_closed = True
            return False
        self.buffer += data
        self.parse()
        return True

    def parse(self):
        while b"\r\n" in self.buffer:
            line, rest = self.buffer.split(b"\r\n", 1)
            words = line.decode("latin-1").split()
            if words[0] in ("MSG", "HMSG"):
                length = int(words[-1])
                if len(rest) < length + 2:
                    return
                block = int(words[-2]) if words[0] == "HMSG" else 0
                reply = words[3] if len(words) == (6 if words[0] == "HMSG" else 5) else ""
                self.message(words[2], words[1], reply, rest[:block], rest[block:length])
                rest = rest[length + 2:]
            elif words[0] == "PING":
                self.send("PONG\r\n")
            elif words[0] == "PONG":
                self.pongs += 1
            elif words[0] == "-ERR":
                self.got.append(("", line.decode("latin-1")))
            self.buffer = rest

    def message(self, sid, subject, reply, headers, body):
        alias = self.sids[sid]
        if reply.startswith("$JS.ACK."):
            self.delivered.append(reply)
        if reply.startswith("$JS.FC."):
            self.flow.append(reply)
        for field in headers.split(b"\r\n"):
            if field.startswith(b"Nats-Consumer-Stalled: "):
                self.flow.append(field.split(b" ")[1].decode())
        words = []
        if self.aliases.get(alias) != subject:
            words.append(shown_subject(subject))
        if reply:
            words.append(shown_subject(reply))
        if headers:
            words.append(shown_headers(headers))
        if body or not headers:
            words.append(shown_text(body.decode("utf-8", "replace")))
        self.got.append((alias, " ".join(words)))

    def round_trip(self):
        before, by = self.pongs, time.monotonic() + PATIENCE
        self.send("PING\r\n")
        while self.pongs == before and time.monotonic() < by and not self.is_closed:
            self.read(0.5)

    def collect(self, expected, at_least=0.0):
        """What has come until nobody says anything more: lines, those of one alias in order."""
        begun = last = time.monotonic()
        quiet = QUIET_RECORDING if self.recording else QUIET_PLAYING
        while not self.is_closed:
            now = time.monotonic()
            missing = not self.recording and len(self.got) < expected and now - begun < PATIENCE + at_least
            if not missing and now - begun >= at_least and (now - last >= quiet or now - begun >= at_least + PATIENCE):
                break
            if self.read(0.02):
                last = time.monotonic()
        got, self.got = self.got, []
        return [f"{alias}: {text}" if alias else text for alias, text in sorted(got, key=lambda one: one[0])]

    # Doing

    def inbox(self, alias):
        """The subject that `alias` listens on; made when it is first named."""
        if alias not in self.aliases:
            self.inboxes += 1
            self.subscribe(alias, f"_INBOX.trace.{self.inboxes}", "")
        return self.aliases[alias]

    def subscribe(self, alias, subject, queue):
        sid = str(len(self.sids) + 1)
        self.sids[sid], self.aliases[alias] = alias, subject
        self.send(f"SUB {subject} {queue} {sid}\r\n")

    def unsubscribe(self, alias):
        for sid, name in self.sids.items():
            if name == alias:
                self.send(f"UNSUB {sid}\r\n")
        self.aliases.pop(alias, None)

    def publish(self, subject, reply, body, headers=()):
        body = body.encode() if isinstance(body, str) else body
        if headers:
            block = ("NATS/1.0\r\n" + "".join(f"{field}\r\n" for field in headers) + "\r\n").encode()
            self.send(f"HPUB {subject} {reply} {len(block)} {len(block) + len(body)}\r\n".encode() + block + body + b"\r\n")
        else:
            self.send(f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n")

    def ask(self, subject, body, headers=()):
        """Publishes and waits for one answer, which is not written down."""
        self.inboxes += 1
        alias = f"?{self.inboxes}"
        inbox = self.inbox(alias)
        self.publish(subject, inbox, body, headers)
        by = time.monotonic() + self.patience
        while time.monotonic() < by and not self.is_closed:
            for index, (name, text) in enumerate(self.got):
                if name == alias:
                    del self.got[index]
                    self.unsubscribe(alias)
                    return text
            self.read(0.05)
        self.unsubscribe(alias)
        return "<no answer>"
