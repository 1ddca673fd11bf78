#!/usr/bin/env python3
"""Plays scenarios about streams to a server and compares what it says with what was recorded.

    main.py                          plays to the server `traces` of the contract (see ../README.md)
    main.py --server CMD [TEXT]      starts CMD by itself, and shows differences
    main.py --record CMD [TEXT]      the same, and writes down what the server says

TEXT limits it to scenarios whose name contains it. What is recorded is what the incumbent
said; it is never written by hand. A scenario begins with `== name`, lines that begin with two
blanks are what came back after the step above them. Where we knowingly answer something else,
that is written below them with `! ` (alone: nothing), and a comment above says why. Everything else is a step:

    stream S {config}        makes a stream (subjects ["s.>"] for S, in memory)
    update S {config}        gives it another configuration
    consumer S C {config}    makes a consumer (durable, acknowledgements explicit)
    api SUBJECT [BODY]       asks the API and shows the answer
    show S [C]               figures of a stream or consumer
    pub SUBJECT BODY...      stores messages, one after the other; `*` before a size, `^` before
                             a field of headers
    raw SUBJECT ALIAS BODY   publishes with ALIAS (or -) as reply
    sub ALIAS SUBJECT [Q]    listens
    unsub ALIAS              stops listening
    pull ALIAS S C [BODY]    asks a consumer for messages, to ALIAS
    ack N [PAYLOAD]          answers the Nth delivery, and wants to be answered
    ack- N [PAYLOAD]         the same, and does not want to
    flow                     answers the last request of flow control
    wait SECONDS             lets time pass
    quit                     asks the server to end

Bodies that begin like JSON may have bare words, `@2s` for nanoseconds, `@now+2s` for times.
`api`, `stream` and the like show only errors unless said otherwise.
"""

import concurrent.futures
import difflib
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from player import IMPATIENCE, PATIENCE, Player, relaxed

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness.configs import TRACE_ACCOUNTS, TRACES  # noqa: E402


class Server:
    """A server of our own, in a directory that goes with it."""

    def __init__(self, command):
        self.dir = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        path = pathlib.Path(self.dir.name)
        text = TRACES.replace("@store@", str(path / "store"))
        (path / "server.conf").write_text(f'listen: "127.0.0.1:-1"\nports_file_dir: "{path}"\n{text}')
        self.log = open(path / "log", "w")
        self.process = subprocess.Popen([*shlex.split(command), "-c", str(path / "server.conf")], stdout=self.log, stderr=self.log)
        by = time.monotonic() + 15
        while True:
            for file in path.glob("*.ports"):
                if text := file.read_text().strip():
                    self.address = ("127.0.0.1", int(json.loads(text)["nats"][0].rsplit(":", 1)[1]))
                    return
            if self.process.poll() is not None or time.monotonic() > by:
                raise SystemExit("the server does not start: " + (path / "log").read_text()[-2000:])
            time.sleep(0.02)

    def quit(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.dir.cleanup()


def has_error(answer):
    if answer.startswith("{"):
        return "error" in json.loads(answer)
    return "[503" in answer or answer.startswith("<no")


def step(player, words, line):
    """Does one step; what is to be shown besides what came by itself, and how long to listen."""
    verb, rest = words[0], line.split(" ", 1)[1] if " " in line else ""
    shown = lambda answer: [f"= {answer}"] if has_error(answer) else []
    body_after = lambda count: relaxed(line.split(" ", count)[count]) if len(line.split(" ", count)) > count else ""
    if verb in ("stream", "update"):
        config = {"name": words[1], "subjects": [words[1].lower() + ".>"], "storage": "memory", **json.loads(body_after(2) or "{}")}
        if "mirror" in config or config["subjects"] is None:
            config.pop("subjects")
        kind = {"stream": "CREATE", "update": "UPDATE"}[verb]
        return shown(player.ask(f"$JS.API.STREAM.{kind}.{words[1]}", json.dumps(config))), 0
    if verb == "consumer":
        config = {"durable_name": words[2], "ack_policy": "explicit", **json.loads(body_after(3) or "{}")}
        if config["durable_name"] is None:
            config.pop("durable_name")
            config["name"] = words[2]
        body = {"stream_name": words[1], "config": config}
        return shown(player.ask(f"$JS.API.CONSUMER.CREATE.{words[1]}.{words[2]}", json.dumps(body))), 0
    if verb == "api":
        return [f"= {player.ask('$JS.API.' + words[1], body_after(2))}"], 0
    if verb == "show":
        what = f"STREAM.INFO.{words[1]}" if len(words) == 2 else f"CONSUMER.INFO.{words[1]}.{words[2]}"
        answer = player.ask("$JS.API." + what, "")
        if answer.startswith("{"):
            info = json.loads(answer)
            info.pop("config", None)
            for key in ("type", "ts", "created", "name", "stream_name", "limit", "offset", "total"):
                info.pop(key, None)
            for key in ("delivered", "ack_floor"):
                info.get(key, {}).pop("last_active", None)
            answer = json.dumps(info, sort_keys=True)
        return [f"= {answer}"], 0
    if verb == "pub":
        headers = [word[1:].replace("=", ": ", 1) for word in words[2:] if word.startswith("^")]
        bodies = ["x" * int(word[1:]) if word.startswith("*") else word for word in words[2:] if not word.startswith("^")]
        answers = [player.ask(words[1], body, headers) for body in bodies]
        return [line for answer in answers for line in shown(answer)], 0
    if verb == "raw":
        reply = "" if words[2] == "-" else player.inbox(words[2])
        player.publish(words[1], reply, body_after(3))
    elif verb == "sub":
        player.subscribe(words[1], words[2], words[3] if len(words) > 3 else "")
    elif verb == "unsub":
        player.unsubscribe(words[1])
    elif verb == "pull":
        player.publish(f"$JS.API.CONSUMER.MSG.NEXT.{words[2]}.{words[3]}", player.inbox(words[1]), body_after(4))
    elif verb in ("ack", "ack-"):
        if len(player.delivered) < int(words[1]):
            return ["= nothing to acknowledge"], 0
        reply = player.inbox("acked") if verb == "ack" else ""
        payload = line.split(" ", 2)[2] if len(words) > 2 else ""
        verb_of, _, options = payload.partition(" ")
        payload = f"{verb_of} {relaxed(options)}" if options.startswith("{") else payload
        player.publish(player.delivered[int(words[1]) - 1], reply, payload)
    elif verb == "flow":
        player.publish(player.flow[-1] if player.flow else "none", "", "")
    elif verb == "wait":
        return [], float(rest)
    elif verb == "quit":
        player.quit_server()
        return [], 1.0
    else:
        raise SystemExit(f"no step: {line}")
    return [], 0


def steps(scenario):
    """Its steps, each with what the incumbent answered and what we answer instead, if so."""
    found = []
    for line in scenario[1:]:
        if line.startswith("  "):
            found[-1][1].append(line)
        elif line.startswith("!"):
            found[-1][2] = (found[-1][2] or []) + (["  " + line[2:]] if line[2:] else [])
        else:
            found.append([line, [], None])
    return found


def play(address, user, scenario, recording, quit_server):
    """What this server answers to each step."""
    player, answered = Player(address, user, recording, quit_server), []
    try:
        for name in json.loads(player.ask("$JS.API.STREAM.NAMES", "")).get("streams") or []:
            player.ask(f"$JS.API.STREAM.DELETE.{name}", "")
        for line, theirs, ours in steps(scenario):
            if not line or line.startswith("#"):
                answered.append([])
                continue
            is_silent = "  = <no answer>" in (theirs if ours is None else ours)
            player.patience = IMPATIENCE if is_silent or recording else PATIENCE
            answers, at_least = step(player, line.split(), line)
            if line.split()[0] not in ("wait", "quit"):
                player.round_trip()
            answers += player.collect(len(theirs if ours is None else ours) - len(answers), at_least)
            answered.append([f"  {answer}" for answer in answers])
        return answered
    finally:
        player.close()


def written(scenario, answered):
    """The scenario with other answers; those that equal ours are as they were."""
    out = [scenario[0]]
    for (line, theirs, ours), answers in zip(steps(scenario), answered):
        out += [line] + (theirs if answers == ours else answers)
        if ours is not None:
            out += ["! " + text[2:] for text in ours] or ["!"]
    return out


def split(text):
    """A file's head and its scenarios, each beginning with `== name`."""
    head, scenarios = [], []
    for line in text.splitlines():
        if line.startswith("== "):
            scenarios.append([line])
        else:
            (scenarios[-1] if scenarios else head).append(line)
    for scenario in scenarios:
        while not scenario[-1]:
            scenario.pop()
    return head, scenarios


class Run:
    """Everything that is played in one go."""

    def __init__(self, wanted, recording):
        self.recording, self.files = recording, {}
        for file in sorted((HERE / "scenarios").glob("*.txt")):
            head, scenarios = split(file.read_text())
            chosen = [wanted in f"{file.stem}/{name(scenario)}" for scenario in scenarios]
            self.files[file] = (head, scenarios, chosen)

    def play(self, address, quit_server):
        """Yields name, what was expected and what came. Those that end the server come last."""
        users = [f"t{number}" for number in range(TRACE_ACCOUNTS)]
        every = [(file, index) for file, (_, scenarios, chosen) in self.files.items() for index in range(len(scenarios)) if chosen[index]]
        ends = [one for one in every if "quit" in self.files[one[0]][1][one[1]]]
        with concurrent.futures.ThreadPoolExecutor(TRACE_ACCOUNTS) as pool:
            def one(place):
                user = users.pop()
                try:
                    file, index = place
                    return place, play(address, user, self.files[file][1][index], self.recording, quit_server)
                finally:
                    users.append(user)
            yield from pool.map(one, [place for place in every if place not in ends])
        for place in ends[:1]:
            yield place, play(address, "t0", self.files[place[0]][1][place[1]], self.recording, quit_server)


def shortened(difference):
    """Of two lines with JSON that differ, only the fields that do."""
    def fields(line):
        try:
            return json.loads(line[line.index("{"):])
        except ValueError:
            return None

    for at in range(len(difference) - 1):
        before, after = fields(difference[at]), fields(difference[at + 1])
        if difference[at][0] == "-" and difference[at + 1][0] == "+" and before and after:
            same = {key for key in before if key in after and before[key] == after[key]}
            for line, all_fields in ((at, before), (at + 1, after)):
                kept = {key: value for key, value in all_fields.items() if key not in same}
                difference[line] = difference[line].split("{")[0] + json.dumps(kept)
    return difference


def name(scenario):
    return re.sub(r"[^a-z0-9]+", "_", scenario[0][3:].lower()).strip("_")


def main():
    arguments = sys.argv[1:]
    recording = "--record" in arguments
    own = recording or "--server" in arguments
    wanted = os.environ.get("NATTER_COMPAT_FILTER", "") if not own else (arguments + ["", ""])[2]
    run = Run(wanted, recording)
    server = Server(arguments[1]) if own else None
    if server:
        address, quit_server = server.address, server.quit
    else:
        contract = json.load(open(os.environ["NATTER_COMPAT"], encoding="utf-8"))
        entry = contract["servers"]["traces"]
        address = (entry["host"], int(entry["port"]))
        quit_server = lambda: urllib.request.urlopen(contract["control"] + "/quit/traces").read()
    failed = total = 0
    try:
        for (file, index), came in run.play(address, quit_server):
            expected = run.files[file][1][index]
            full, total = f"{file.stem}/{name(expected)}", total + 1
            told = written(expected, came)
            if recording:
                run.files[file][1][index] = told
            if told == expected:
                print(f"ok {full}", flush=True) if not own else None
                continue
            failed += 1
            difference = shortened(list(difflib.unified_diff(expected, told, lineterm="", n=2))[2:])
            print(f"not ok {full}: differs" if not own else f"== {full}")
            print("\n".join(f"    {line}" for line in difference), flush=True)
    finally:
        if server:
            server.stop()
    if recording:
        for file, (head, scenarios, _) in run.files.items():
            text = "\n".join(head).rstrip() + "\n"
            file.write_text(text + "".join("\n" + "\n".join(lines) + "\n" for lines in scenarios))
    if own:
        print(f"{total} scenarios, {failed} different")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
