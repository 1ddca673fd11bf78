"""The control door: plain HTTP on loopback through which a runner moves servers.

One request at a time per server is all a runner needs; requests are answered when
the thing has happened, so that runners need no waiting of their own.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def _act(fleet, issue, path):
    """Does what a path asks for; returns what the answer carries besides `ok`."""
    parts = [part for part in path.split("/") if part]
    verb, name, argument = (parts + [None, None, None])[:3]
    if verb == "creds" and name:
        return {"creds": issue(int(name))}
    server = fleet.servers.get(name)
    if server is None:
        raise KeyError(f"no server {name}")
    if verb == "signal" and argument:
        server.signal(argument)
    elif verb == "config" and argument:
        server.configure(argument)
    elif verb in ("restart", "relaunch", "stop", "quit", "start") and argument is None:
        getattr(server, verb)()
    else:
        raise KeyError(f"no action {path}")
    return {}


def serve(fleet, issue):
    """Starts the door in a thread; returns the HTTP server (`.url`, `.shutdown()`)."""
    lock = threading.Lock()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self):
            try:
                with lock:
                    status, answer = 200, {"ok": True, **_act(fleet, issue, self.path)}
            except Exception as error:  # the reason belongs to the runner, whatever it is
                status, answer = 500, {"ok": False, "error": str(error)}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    http.daemon_threads = True
    http.url = f"http://127.0.0.1:{http.server_address[1]}"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    return http
