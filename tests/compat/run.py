#!/usr/bin/env python3
"""Runs real client libraries against a server binary and counts what they say.

For each language folder beside this file: prepare it, start a fresh fleet of
servers, run it with the contract in its environment, read its result lines.
The contract is written down in README.md. Needs Python 3.9, `openssl`, and
whatever the languages need; a missing tool is said and fails the run.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from harness import certs, configs, control, nkeys  # noqa: E402
from harness.supervisor import Fleet, ServerError  # noqa: E402

LANGUAGES = ["traces", "python", "js", "go", "c", "rust"]
MISSING_TOOL = 77
PREPARE_LIMIT_S = 900
RUN_LIMIT_S = 300


class Tally:
    """Assertions of one language, by outcome."""

    def __init__(self):
        self.passed, self.failed, self.skipped = [], [], []

    def take(self, line):
        """Files a result line; returns False for any other line."""
        for start, pile in (("ok ", self.passed), ("not ok ", self.failed), ("skip ", self.skipped)):
            if line.startswith(start) and len(line) > len(start):
                pile.append(line[len(start):])
                return True
        return False


def flatten(value, prefix="COMPAT"):
    """Every leaf of the JSON as an environment variable."""
    if not isinstance(value, dict):
        return {prefix: str(value)}
    flat = {}
    for key, inner in value.items():
        flat.update(flatten(inner, f"{prefix}_{key.upper()}"))
    return flat


def execute(argv, cwd, environment, limit_s, on_line):
    """Runs a child in its own process group; feeds stdout lines; returns its exit code, None if killed."""
    child = subprocess.Popen(argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
    late = threading.Event()

    def kill():
        late.set()
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # ended by itself in the same moment

    timer = threading.Timer(limit_s, kill)
    timer.start()
    try:
        for line in child.stdout:
            on_line(line.rstrip("\n"))
        code = child.wait()
    except BaseException:
        kill()
        raise
    finally:
        timer.cancel()
    return None if late.is_set() else code


def prepare(folder, environment, verbose):
    """Builds a language; returns None when ready, else (is_missing_tool, reason)."""
    lines = []

    def keep(line):
        lines.append(line)
        if verbose:
            print(f"  {line}")

    code = execute(["./runner.sh", "prepare"], folder, environment, PREPARE_LIMIT_S, keep)
    if code == 0:
        return None
    last = lines[-1] if lines else "no output"
    if code == MISSING_TOOL:
        return True, last
    return False, f"prepare ended with {code}: {last}"


def run_language(language, options, command, material, scratch):
    """Prepares and runs one language; returns its tally and the seconds its scenarios took."""
    tally, folder = Tally(), HERE / language
    build = ROOT / "target" / "compat" / language
    build.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COMPAT_", "NATTER_COMPAT"))}
    environment.update(NATTER_COMPAT_BUILD=str(build), NATTER_COMPAT_FILTER=options.filter)

    if not (folder / "runner.sh").exists():
        tally.skipped.append(f"{language}: no runner")
        tally.failed.append(f"{language}/ran: no runner.sh in {folder.name}")
        return tally, 0.0
    unready = prepare(folder, environment, options.verbose)
    if unready is not None:
        missing, reason = unready
        if missing:
            tally.skipped.append(f"{language}: {reason}")
        if not (missing and options.allow_missing):
            tally.failed.append(f"{language}/ran: {reason}")
        return tally, 0.0

    def on_line(line):
        counted = tally.take(line)
        if options.verbose or not counted or not line.startswith("ok "):
            print(f"  {line}", flush=True)

    with Fleet(command, configs.SERVERS, material, scratch / language, configs.MAY_BE_UNBUILT) as fleet:
        for name, reason in fleet.unstarted.items():
            on_line(f"not ok {language}/server_{name}_starts: {reason}")
        door = control.serve(fleet, material.issue)
        contract = {"control": door.url, "tls": material.tls, "auth": material.auth, "servers": fleet.describe()}
        described = scratch / f"{language}.json"
        described.write_text(json.dumps(contract, indent=2))
        environment.update(flatten(contract), NATTER_COMPAT=str(described))
        began = time.monotonic()
        code = execute(["./runner.sh", "run"], folder, environment, RUN_LIMIT_S, on_line)
        seconds = time.monotonic() - began
        door.shutdown()
        for name, status in fleet.ended().items():
            if name != "lame":
                tally.failed.append(f"{language}/server_{name}_survives: ended with {status}: {fleet.servers[name].tail()}")
    if code is None:
        tally.failed.append(f"{language}/in_time: killed after {RUN_LIMIT_S} s")
    elif code != 0 and not tally.failed:
        tally.failed.append(f"{language}/exit: runner ended with {code}")
    if not tally.passed and not tally.failed and not (options.filter and tally.skipped):
        tally.failed.append(f"{language}/ran: no assertion was made")
    return tally, seconds


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=f"{ROOT}/target/release/natter server", metavar="CMD",
                        help="the server under test; `-c FILE` is appended (default: %(default)s)")
    parser.add_argument("--only", default=",".join(LANGUAGES), metavar="LANG,…", help="languages to run (default: %(default)s)")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only scenarios whose name contains TEXT")
    parser.add_argument("--keep", action="store_true", help="keep configurations and server logs, and say where")
    parser.add_argument("--allow-missing", action="store_true", help="a missing tool is a skip, not a failure")
    parser.add_argument("--verbose", "-v", action="store_true", help="show passed assertions and build output too")
    return parser.parse_args()


def main():
    options = arguments()
    command = shlex.split(options.server)
    if "/" in command[0]:
        command[0] = str(Path(command[0]).resolve())
    languages = [name for name in options.only.split(",") if name]
    unknown = [name for name in languages if name not in LANGUAGES]
    if unknown or not languages:
        sys.exit(f"no such language: {', '.join(unknown) or '(none given)'}; there are {', '.join(LANGUAGES)}")

    scratch = Path(tempfile.mkdtemp(prefix="compat-"))
    tls, server_pair = certs.make(scratch / "tls")
    auth, jwt, issue = nkeys.make(scratch / "auth")
    material = configs.Material(tls, server_pair, auth, jwt, issue)
    tallies = {}
    try:
        for language in languages:
            print(f"{language}:", flush=True)
            try:
                tally, seconds = run_language(language, options, command, material, scratch)
            except (ServerError, OSError) as error:
                tally, seconds = Tally(), 0.0
                tally.failed.append(f"{language}/ran: {error}")
            tallies[language] = tally
            print(f"{language}: {len(tally.passed)} passed, {len(tally.failed)} failed, "
                  f"{len(tally.skipped)} skipped in {seconds:.1f} s", flush=True)
    finally:
        if options.keep:
            print(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)

    for tally in tallies.values():
        for line in tally.skipped:
            print(f"skip {line}")
    for tally in tallies.values():
        for line in tally.failed:
            print(f"not ok {line}")
    passed, failed, skipped = (sum(len(getattr(tally, pile)) for tally in tallies.values())
                               for pile in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not (passed or options.filter and skipped) else 0)


if __name__ == "__main__":
    main()
