#!/usr/bin/env python3
"""Records what a real nats-server answers, for the tests of `src/monitor/`.

    record.py <path to nats-server> [folder for the goldens]

Each golden file holds cases by name. An HTTP case has the path asked for, the status,
the headers that matter and the body; a request or an event has its subject and body.
Server ids, times and the like differ from run to run: the tests know which keys those are.
Needs openssl for a throw-away certificate authority. Everything listens on loopback.
"""
import atexit, gzip, http.client, json, os, re, shutil, signal, socket, ssl, subprocess, sys, tempfile, time

SERVER = sys.argv[1]
OUT = sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__))


class Server:
    def __init__(self, config):
        self.dir = tempfile.mkdtemp()
        path = os.path.join(self.dir, "server.conf")
        with open(path, "w") as file:
            file.write(config.replace("@DIR", self.dir))
        self.process = subprocess.Popen(
            [SERVER, "-c", path, "--ports_file_dir", self.dir],
            stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.dir, "log"), "w"))
        ports = os.path.join(self.dir, f"{os.path.basename(SERVER)}_{self.process.pid}.ports")
        deadline = time.time() + 10
        while not os.path.exists(ports) or not open(ports).read().strip():
            if time.time() > deadline or self.process.poll() is not None:
                sys.exit(open(os.path.join(self.dir, "log")).read())
            time.sleep(0.02)
        ports = json.load(open(ports))
        self.port = int(ports["nats"][0].rsplit(":", 1)[1])
        self.http = int(ports["monitoring"][0].rsplit(":", 1)[1]) if ports.get("monitoring") else 0
        self.secure = bool(ports.get("monitoring")) and ports["monitoring"][0].startswith("https")

    def get(self, path, method="GET", headers=None):
        if self.secure:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            link = http.client.HTTPSConnection("127.0.0.1", self.http, context=context)
        else:
            link = http.client.HTTPConnection("127.0.0.1", self.http)
        link.request(method, path, headers=headers or {})
        answer = link.getresponse()
        body = answer.read().decode()
        case = {"path": path}
        if method != "GET":
            case["method"] = method
        case["status"] = answer.status
        case["headers"] = {k.lower(): v for k, v in answer.getheaders()
                           if k.lower() not in ("date", "content-length")}
        try:
            case["body"] = json.loads(body)
        except ValueError:
            case["text"] = body
        return case

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Client:
    def __init__(self, port, tls=None, **connect):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.buffer = b""
        self.info = json.loads(self.line()[5:])
        if tls:
            self.socket = tls.wrap_socket(self.socket)
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True,
                   "name": "golden", "lang": "python3", "version": "1.2.3", "protocol": 1, **connect}
        self.send("CONNECT " + json.dumps(options) + "\r\nPING\r\n")

    def ready(self):
        while True:
            line = self.line()
            if line == b"PONG":
                return self
            if line.startswith(b"-ERR") or not line:
                raise Exception(line)
            if line == b"PING":
                self.send("PONG\r\n")

    def send(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def more(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def line(self):
        while b"\r\n" not in self.buffer:
            if not self.more():
                return b""
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def flush(self):
        self.send("PING\r\n")
        return self.ready()

    def message(self, wait=3.0):
        """The next message: subject, headers, body; None when nothing came."""
        self.socket.settimeout(wait)
        try:
            while True:
                line = self.line()
                if not line:
                    return None
                if line == b"PING":
                    self.send("PONG\r\n")
                parts = line.split()
                if parts and parts[0] in (b"MSG", b"HMSG"):
                    size = int(parts[-1])
                    while len(self.buffer) < size + 2:
                        self.more()
                    data, self.buffer = self.buffer[:size], self.buffer[size + 2:]
                    headers = b""
                    if parts[0] == b"HMSG":
                        headers, data = data[:int(parts[-2])], data[int(parts[-2]):]
                    return parts[1].decode(), headers.decode(), data
        except socket.timeout:
            return None
        finally:
            self.socket.settimeout(None)

    def request(self, subject, body="", headers="", wait=1.0):
        """The answer as a case; one outstanding at a time."""
        if not hasattr(self, "inbox"):
            self.inbox = 0
            self.send("SUB _INBOX.golden.> inbox\r\n")
        self.inbox += 1
        reply = f"_INBOX.golden.{self.inbox}"
        if headers:
            block = f"NATS/1.0\r\n{headers}\r\n\r\n"
            self.send(f"HPUB {subject} {reply} {len(block)} {len(block) + len(body)}\r\n{block}{body}\r\n")
        else:
            self.send(f"PUB {subject} {reply} {len(body)}\r\n{body}\r\n")
        case = {"subject": subject, "request": body}
        if headers:
            case["request_headers"] = headers
        deadline = time.time() + wait
        while time.time() < deadline:
            message = self.message(max(0.01, deadline - time.time()))
            if message and message[0] == reply:
                if message[1]:
                    case["headers"] = message[1]
                data = message[2]
                if "gzip" in message[1]:
                    data = gzip.decompress(data)
                try:
                    case["body"] = json.loads(data)
                except ValueError:
                    case["text"] = data.decode(errors="replace")
                return case
        case["silent"] = True
        return case


def save(name, cases):
    with open(os.path.join(OUT, name + ".json"), "w") as file:
        file.write("{\n")
        for index, (key, case) in enumerate(cases.items()):
            comma = "," if index + 1 < len(cases) else ""
            file.write(f"{json.dumps(key)}: {json.dumps(case)}{comma}\n")
        file.write("}\n")


def certificates():
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = lambda *args: subprocess.run(["openssl", *args], check=True, cwd=folder, capture_output=True)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=golden ca", "-days", "3650")
    for name, subject in (("server", "/CN=localhost"), ("client", "/O=Golden/CN=client")):
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", name + ".key", "-out", name + ".csr", "-subj", subject)
        run("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", name + ".pem", "-days", "3650")
    return folder


PLAIN = "listen: 127.0.0.1:-1\nhttp: 127.0.0.1:-1\n"

STREAMS = """
server_name: golden
listen: 127.0.0.1:-1
http: 127.0.0.1:-1
jetstream { store_dir: "@DIR", max_mem: 1GB, max_file: 2GB, limits { max_ack_pending: 500, duplicate_window: "5m" } }
system_account: SYS
accounts {
  SYS { users: [{user: sys, password: sys}] }
  A { jetstream { max_mem: 10MB, max_file: 20MB, max_streams: 5, max_consumers: 7 }, users: [{user: a, password: a}] }
  B { jetstream: enabled, users: [{user: b, password: b}] }
  C { users: [{user: c, password: c}] }
}
"""


def streams():
    """What a server with JetStream says: its own file, for `src/monitor/jsz.rs`."""
    server, cases = Server(STREAMS), {}
    client = Client(server.port, user="a", **{"pass": "a"}).ready()
    make = lambda kind, name, body: client.request(f"$JS.API.{kind}.{name}", json.dumps(body))
    make("STREAM.CREATE", "S1", {"name": "S1", "subjects": ["s1.>"], "max_bytes": 1000, "storage": "file"})
    make("STREAM.CREATE", "S2", {"name": "S2", "subjects": ["s2"], "max_bytes": 100, "storage": "memory"})
    for subject in ("s1.a", "s1.a", "s1.b", "s2"):
        client.request(subject, "hello")
    make("CONSUMER.CREATE", "S1.C1", {"stream_name": "S1", "config": {
        "name": "C1", "durable_name": "C1", "ack_policy": "explicit", "max_ack_pending": 100}})
    for name, path in (
        ("plain", "/jsz"), ("accounts", "/jsz?accounts=1"), ("streams", "/jsz?streams=1"),
        ("consumers", "/jsz?consumers=1"), ("config", "/jsz?consumers=1&config=1"),
        ("account", "/jsz?acc=A"), ("account streams", "/jsz?acc=A&streams=1"),
        ("account all", "/jsz?acc=A&consumers=true&config=true&raft=true"),
        ("account without", "/jsz?acc=C"), ("account unknown", "/jsz?acc=X"),
        ("offset", "/jsz?accounts=1&offset=1"), ("limit", "/jsz?accounts=1&limit=1"),
        ("beyond", "/jsz?accounts=1&offset=9"), ("negative", "/jsz?accounts=1&offset=-1&limit=-1"),
        ("leader", "/jsz?leader-only=1"), ("stream leader", "/jsz?streams=1&stream-leader-only=1"),
        ("direct", "/jsz?acc=A&direct-consumers=1"),
        ("varz", "/varz"), ("accountz", "/accountz?acc=A"), ("accountz without", "/accountz?acc=C"),
        ("health", "/healthz"), ("health enabled", "/healthz?js-enabled-only=1"),
        ("health server", "/healthz?js-server-only=1"), ("health meta", "/healthz?js-meta-only=1"),
        ("health account", "/healthz?account=A"), ("health no account", "/healthz?account=X"),
        ("health account without", "/healthz?account=C"),
        ("health stream", "/healthz?account=A&stream=S1"),
        ("health no stream", "/healthz?account=A&stream=X"),
        ("health consumer", "/healthz?account=A&stream=S1&consumer=C1"),
        ("health no consumer", "/healthz?account=A&stream=S1&consumer=X"),
        ("health no consumer details", "/healthz?account=A&stream=S1&consumer=X&details=1"),
        ("health no stream details", "/healthz?account=A&stream=X&details=1"),
        ("health no account details", "/healthz?account=X&details=1"),
    ):
        cases[name] = server.get(path)
    system = Client(server.port, user="sys", **{"pass": "sys"}).ready()
    for name, subject, body in (
        ("request", "SERVER.PING.JSZ", ""), ("request account", "SERVER.PING.JSZ", '{"account":"A","streams":true}'),
        ("request all", "SERVER.PING.JSZ", '{"accounts":true,"consumer":true,"config":true,"limit":1}'),
        ("request consumers", "SERVER.PING.JSZ", '{"accounts":true,"streams":true,"consumer":true}'),
        ("request leader", "SERVER.PING.JSZ", '{"leader_only":true}'),
        ("request of account", "ACCOUNT.A.JSZ", ""), ("request of account streams", "ACCOUNT.A.JSZ", '{"streams":true}'),
        ("request of account without", "ACCOUNT.C.JSZ", ""), ("request of no account", "ACCOUNT.X.JSZ", ""),
        ("request account unknown", "SERVER.PING.JSZ", '{"account":"X"}'),
        ("request info", "ACCOUNT.A.INFO", ""), ("request statsz", "SERVER.PING.STATSZ", ""),
        ("request health", "SERVER.PING.HEALTHZ", '{"account":"A","stream":"X"}'),
        ("request bad", "SERVER.PING.JSZ", '{"streams":1}'),
    ):
        cases[name] = system.request("$SYS.REQ." + subject, body)
    server.stop()
    save("streams", cases)


if sys.argv[3:] == ["streams"]:
    streams()
    sys.exit()

BUSY = """
server_name: golden
listen: 127.0.0.1:-1
http: 127.0.0.1:-1
client_advertise: "golden.example:4222"
server_tags: ["az:one", "disk:ssd"]
server_metadata: { rack: r1, owner: ops }
max_subs: 500
write_timeout: retry
system_account: SYS
accounts {
  SYS { users: [{user: sys, password: sys}] }
  A {
    users: [
      {user: a, password: a}
      {user: limited, password: limited, permissions: {
        publish: {allow: ["foo.*", "$SYS.REQ.>"], deny: "foo.secret"}
        subscribe: {allow: ["foo.> workers", "_INBOX.>"]}
        allow_responses: {max: 3, expires: "1m"}
      }}
    ]
    exports: [{stream: "news.>"}, {service: "ask", accounts: [B], latency: {sampling: 50, subject: lat}}, {service: "many", response_type: stream}]
    mappings: { "old.*": [{destination: "new.$1", weight: 60%}, {destination: "newer.$1", weight: 40%}] }
  }
  B {
    users: [{user: b, password: b}]
    imports: [{stream: {account: A, subject: "news.>"}, prefix: from.a}, {service: {account: A, subject: ask}, to: ask.a}]
  }
}
"""

TLS = """
listen: 127.0.0.1:-1
https: 127.0.0.1:-1
http_base_path: base
tls { cert_file: "@CERTS/server.pem", key_file: "@CERTS/server.key", ca_file: "@CERTS/ca.pem", verify: true }
"""


SECTIONS = """
server_name: golden
listen: 127.0.0.1:-1
http: 127.0.0.1:-1
jetstream { store_dir: "@DIR/js", domain: hub }
max_subs: 7
tls { cert_file: "@CERTS/server.pem", key_file: "@CERTS/server.key", ca_file: "@CERTS/ca.pem" }
proxies { trusted: [{key: "UAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB63NN"}] }
cluster {
  name: east, listen: 127.0.0.1:-1, pool_size: 3, write_deadline: "5s", write_timeout: retry
  authorization { user: r, password: r, timeout: 1.5 }
  routes: ["nats://r:r@127.0.0.1:1"]
  tls { cert_file: "@CERTS/server.pem", key_file: "@CERTS/server.key", ca_file: "@CERTS/ca.pem", timeout: 3 }
}
gateway {
  name: east, listen: 127.0.0.1:-1, advertise: "gw.example:7222", connect_retries: 5, reject_unknown_cluster: true
  authorization { user: g, password: g, timeout: 1.5 }
  tls { cert_file: "@CERTS/server.pem", key_file: "@CERTS/server.key", ca_file: "@CERTS/ca.pem", timeout: 3 }
  gateways: [{name: west, urls: ["nats://127.0.0.1:1"]}]
}
leafnodes {
  listen: 127.0.0.1:-1
  authorization { user: l, password: l, timeout: 1.5 }
  tls { cert_file: "@CERTS/server.pem", key_file: "@CERTS/server.key", ca_file: "@CERTS/ca.pem", verify: true, timeout: 3 }
  remotes: [{url: "nats-leaf://127.0.0.1:1", account: A, deny_imports: ["in.>"], deny_exports: ["out.>"], tls {timeout: 4}}]
}
websocket {
  listen: 127.0.0.1:-1, advertise: "ws.example:80", no_auth_user: a, handshake_timeout: "3s", same_origin: true
  allowed_origins: ["https://example"], compression: true, authorization { timeout: 1.5 }
  tls { cert_file: "@CERTS/server.pem", key_file: "@CERTS/server.key", ca_file: "@CERTS/ca.pem", verify_and_map: true
        pinned_certs: ["7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069"] }
}
mqtt {
  listen: 127.0.0.1:-1, no_auth_user: a, ack_wait: "10s", max_ack_pending: 50, js_domain: hub, authorization { timeout: 1.5 }
  tls { cert_file: "@CERTS/server.pem", key_file: "@CERTS/server.key", ca_file: "@CERTS/ca.pem", verify_and_map: true, timeout: 3
        pinned_certs: ["7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069"] }
}
accounts { A { users: [{user: a, password: a}] }, SYS { users: [{user: sys, password: sys}] } }
system_account: SYS
"""


def record_sections():
    """Every section of /varz with as many fields as a configuration can fill."""
    os.environ["GOMEMLIMIT"] = "1GiB"
    server = Server(SECTIONS.replace("@CERTS", certificates()))
    del os.environ["GOMEMLIMIT"]
    GOLDEN["varz"]["sections"] = server.get("/varz")
    GOLDEN["varz"]["sections"]["body"]["jetstream"] = {}  # not of interest here
    server.stop(signal.SIGKILL)


def record_plain():
    server = Server(PLAIN)
    index = {"root": server.get("/"), "missing": server.get("/nothing"),
             "post varz": server.get("/varz", "POST"), "head varz": server.get("/varz", "HEAD"),
             "options varz": server.get("/varz", "OPTIONS"), "trailing slash": server.get("/varz/"),
             "double slash": server.get("//varz"), "dots": server.get("/x/../varz"),
             "stacksz": server.get("/stacksz"), "debug vars": server.get("/debug/vars")}
    index["stacksz"]["text"] = index["stacksz"]["text"][:12]
    index["debug vars"]["body"] = sorted(index["debug vars"]["body"])
    for case in ("post varz", "head varz", "options varz", "double slash", "dots"):
        index[case].pop("body", None)
        if len(index[case].get("text", "")) > 200:
            index[case].pop("text")
    index["root"]["text"] = re.findall(r"<a href=(\S+?)(?: class=\S+)?>([^<]*)<", index["root"]["text"])
    save("index", index)

    save("errors", {path: server.get(path) for path in [
        "/connz?subs=x", "/connz?auth=2", "/connz?offset=x", "/connz?limit=1.5", "/connz?limit=99999999999999999999",
        "/connz?cid=-1", "/connz?cid=99999999999999999999", "/connz?state=odd", "/connz?sort=odd", "/connz?sort=stop",
        "/connz?sort=reason", "/connz?sort=stop&state=all", "/connz?subs=x%22y%3C", "/connz?subs=a+b", "/connz?offset=%zz",
        "/subsz?subs=x", "/subsz?subs=detail", "/subsz?offset=x", "/subsz?limit=x", "/subsz?subs=1&test=foo.*",
        "/routez?subs=x", "/gatewayz?subs=x", "/gatewayz?accs=x", "/leafz?subs=x", "/accountz?acc=NONE",
        "/accstatz?unused=x", "/jsz?accounts=x", "/jsz?streams=x", "/jsz?consumers=x", "/jsz?config=x", "/jsz?offset=x",
        "/jsz?limit=x", "/jsz?leader-only=x", "/jsz?raft=x", "/jsz?direct-consumers=x", "/jsz?stream-leader-only=x",
        "/jsz?leader-only=1", "/healthz?js-enabled=x", "/healthz?js-enabled-only=x", "/healthz?js-server-only=x",
        "/healthz?js-meta-only=x", "/healthz?details=x", "/healthz?stream=s", "/healthz?consumer=c",
        "/healthz?stream=s&details=1", "/healthz?consumer=c&details=true", "/ipqueuesz?all=x", "/raftz", "/raftz?acc=A",
    ]})
    paths = {"plain": ""}
    for name, extra in {
        "varz": {}, "routez": {"subs": "?subs=1", "detail": "?subs=detail"}, "gatewayz": {"accs": "?accs=1&subs=detail"},
        "leafz": {"subs": "?subs=1"}, "subsz": {"subs": "?subs=1"}, "accountz": {"global": "?acc=$G", "system": "?acc=$SYS"},
        "accstatz": {"unused": "?unused=1"}, "ipqueuesz": {"all": "?all=1", "queues": "?all=1&queues=sendq"},
        "healthz": {"details": "?details=1", "js-enabled": "?js-enabled=1", "js-enabled-only": "?js-enabled-only=1",
                    "js-server-only": "?js-server-only=true", "js-meta-only": "?js-meta-only=1", "account": "?account=A",
                    "account stream": "?account=A&stream=S"},
        "jsz": {"accounts": "?accounts=1", "all": "?acc=X&streams=1&consumers=1&config=1&raft=1&limit=-1&offset=-1"},
        "connz": {"callback": "?callback=x", "closed": "?state=closed", "account": "?acc=NONE"},
    }.items():
        GOLDEN.setdefault(name, {}).update(
            {("plain " + case).strip(): server.get("/" + name + query) for case, query in {"": "", **extra}.items()})
    GOLDEN["subsz"]["plain alias"] = server.get("/subscriptionsz")
    GOLDEN["varz"]["plain again"] = server.get("/varz")
    server.stop()


def record_busy():
    server = Server(BUSY)
    port = server.port
    a = Client(port, user="a", **{"pass": "a"}).ready()
    a.send("SUB foo 1\r\nSUB foo.> workers 2\r\nSUB bar.* 3\r\nUNSUB 3 10\r\nPUB foo 5\r\nhello\r\n")
    a.flush()
    bare = Client(port, user="b", name="", lang="", version="", **{"pass": "b"}).ready()
    bare.send("SUB from.a.news.x 7\r\nPUB ask.a 2\r\nhi\r\n")
    bare.flush()
    sys_user = Client(port, user="sys", name="sys<&>", **{"pass": "sys"}).ready()
    gone = Client(port, user="a", name="gone", **{"pass": "a"}).ready()
    gone.send("SUB gone 1\r\nSUB gone.q workers 2\r\n")
    gone.flush()
    gone.socket.close()
    wrong = Client(port, user="a", **{"pass": "wrong"})
    while wrong.line():
        pass
    time.sleep(0.2)
    for client in (a, sys_user):  # answers to the pings that measure the round trip
        server.get("/connz")
        time.sleep(0.1)
        client.flush()
    time.sleep(0.1)
    GOLDEN["connz"].update({"busy " + (query or "plain"): server.get("/connz" + query) for query in [
        "", "?subs=1", "?subs=detail", "?auth=1", "?auth=1&subs=detail", "?state=closed", "?state=closed&auth=1&subs=1",
        "?state=closed&subs=detail", "?state=any", "?state=ALL", "?sort=subs", "?sort=bytes_from",
        "?limit=1", "?limit=1&offset=1", "?offset=10", "?limit=-1&offset=-1", "?cid=2", "?cid=9999", "?cid=9999&state=closed",
        "?user=a&auth=1", "?acc=A&auth=1", "?acc=A&state=closed", "?acc=B", "?sort=reason&state=closed", "?sort=stop&state=closed",
        "?mqtt_client=x", "?user=a&state=all", "?limit=1&state=all"]})
    GOLDEN["subsz"].update({"busy " + (query or "plain"): server.get("/subsz" + query) for query in [
        "", "?acc=A", "?subs=1&acc=A", "?subs=1&acc=A&limit=2&offset=1", "?subs=1&acc=A&test=foo", "?subs=1&acc=NONE", "?subs=1&acc=A&offset=99"]})
    for name in ("varz", "routez", "gatewayz", "leafz", "accountz", "accstatz", "healthz", "jsz"):
        GOLDEN[name]["busy"] = server.get("/" + name)
    for account in ("A", "B", "SYS"):
        GOLDEN["accountz"]["busy " + account] = server.get("/accountz?acc=" + account)
    GOLDEN["accstatz"]["busy unused"] = server.get("/accstatz?unused=1")
    sid = sys_user.info["server_id"]
    requests = [(f"$SYS.REQ.SERVER.PING{suffix}", body) for suffix, body in [
        ("", ""), (".STATSZ", ""), (".IDZ", ""), (".VARZ", ""), (".SUBSZ", ""), (".CONNZ", ""), (".ROUTEZ", ""), (".GATEWAYZ", ""),
        (".LEAFZ", ""), (".ACCOUNTZ", ""), (".JSZ", ""), (".HEALTHZ", ""), (".PROFILEZ", ""), (".IPQUEUESZ", ""), (".RAFTZ", ""),
        (".CONNZ", '{"auth":true,"subscriptions":true,"limit":1,"sort":"subs"}'), (".CONNZ", '{"state":1}'), (".CONNZ", '{"state":9}'),
        (".CONNZ", '{"state":"open"}'), (".CONNZ", '{"sort":"odd"}'), (".CONNZ", '{"filter_subject":"foo"}'),
        (".CONNZ", '{"filter_subject":"foo","acc":"A"}'), (".CONNZ", '{"filter_subject":"none","acc":"A"}'), (".CONNZ", "{bad"),
        (".CONNZ", "[]"), (".CONNZ", '{"LIMIT":1}'), (".CONNZ", '{"limit":"1"}'), (".CONNZ", '{"limit":1.5}'), (".CONNZ", '{"cid":-1}'),
        (".CONNZ", "{"), (".CONNZ", '{"auth" true}'), (".CONNZ", '{"auth":true "cid":1}'), (".CONNZ", '{"auth":}'), (".CONNZ", '{"auth":true,}'),
        (".CONNZ", '{"tags":["a" "b"]}'), (".CONNZ", '{"tags":[,]}'), (".CONNZ", "x"), (".CONNZ", '{"auth":true,\n x}'),
        (".CONNZ", '{"tags":"a"}'), (".CONNZ", '{"server_name":1}'), (".CONNZ", '{"sort":1}'), (".CONNZ", '{"auth":"x","limit":"y"}'), (".CONNZ", '{"sort":"a'), (".CONNZ", ' '), (".CONNZ", '{"limit":1} x'), (".CONNZ", "null"), (".CONNZ", '"x"'), (".CONNZ", '{"auth":1}'),
        (".STATSZ", "{bad"), (".STATSZ", '{"server_name":"gold"}'), (".STATSZ", '{"server_name":"silver"}'),
        (".STATSZ", '{"server_name":"gold","exact_match":true}'), (".STATSZ", '{"tags":["az:one"]}'), (".STATSZ", '{"tags":["AZ:ONE"]}'),
        (".STATSZ", '{"tags":["az:two"]}'), (".STATSZ", '{"domain":"hub"}'), (".VARZ", '{"cluster":"x"}'), (".VARZ", '{"host":"127"}'),
        (".IDZ", '{"server_name":"silver"}'), (".SUBSZ", '{"subscriptions":true,"acc":"A"}'), (".SUBSZ", '{"subscriptions":true,"account":"A"}'),
        (".SUBSZ", '{"test":"foo.*"}'), (".HEALTHZ", '{"stream":"s"}'), (".HEALTHZ", '{"details":true}'), (".ACCOUNTZ", '{"account":"A"}'),
        (".ACCOUNTZ", '{"account":"NONE"}'), (".JSZ", '{"leader_only":true}'), (".PROFILEZ", '{"name":"nothing"}'), (".NOTHING", "")]]
    requests += [(f"$SYS.REQ.SERVER.{sid}.{kind}", body) for kind, body in [
        ("VARZ", ""), ("IDZ", ""), ("STATSZ", ""), ("KICK", '{"cid":9999}'), ("KICK", '{"cid":9999,"server_name":"silver"}'), ("KICK", ""),
        ("KICK", '{"cid":"x"}'), ("LDM", '{"cid":9999}'), ("RELOAD", "{bad"), ("RELOAD", '{"server_name":"silver"}')]]
    requests += [("$SYS.REQ.SERVER.OTHER.VARZ", "")]
    requests += [(f"$SYS.REQ.ACCOUNT.{kind}", body) for kind, body in [
        ("A.SUBSZ", ""), ("A.CONNZ", ""), ("A.LEAFZ", ""), ("A.JSZ", ""), ("A.INFO", ""), ("A.STATZ", ""), ("A.CONNS", ""),
        ("A.CONNS", '{"acc":"A"}'), ("A.CONNS", '{"acc":"B"}'), ("NONE.CONNS", ""), ("NONE.INFO", ""), ("NONE.STATZ", ""),
        ("NONE.STATZ", '{"include_unused":true}'), ("NONE.CONNZ", ""), ("NONE.JSZ", ""), ("NONE.SUBSZ", ""), ("NONE.LEAFZ", ""),
        ("PING.STATZ", ""), ("PING.STATZ", '{"accounts":["A"]}'), ("PING.STATZ", '{"accounts":["NONE"]}'),
        ("PING.STATZ", '{"accounts":["NONE"],"include_unused":true}'), ("PING.STATZ", '{"include_unused":true}'),
        ("PING.CONNZ", ""), ("NSUBS", '{"acc":"A","subject":"foo"}'), ("NSUBS", '{"acc":"A","subject":"foo.x","queue":"d29ya2Vycw=="}'),
        ("NSUBS", '{"acc":"A","subject":"foo.>"}'), ("NSUBS", ""), ("A.NOTHING", ""), ("A.CLAIMS.LOOKUP", "")]]
    requests += [("$SYS.REQ.USER.INFO", ""), ("$SYS.DEBUG.SUBSCRIBERS", "foo"), ("$SYS.DEBUG.SUBSCRIBERS", ""),
                 ("$SYS.DEBUG.SUBSCRIBERS", "foo.x workers")]
    cases = [{"user": "sys", **sys_user.request(subject, body, wait=0.4)} for subject, body in requests]
    for encoding in ("gzip", "identity", "br", "s2", "GZIP, s2", ""):
        case = sys_user.request("$SYS.REQ.SERVER.PING.IDZ", "", f"Accept-Encoding: {encoding}", 0.4)
        cases.append({"user": "sys", **case})
        case = sys_user.request("$SYS.REQ.SERVER.PING.ROUTEZ", "", f"Accept-Encoding: {encoding}", 0.4)
        case.pop("text", None)
        cases.append({"user": "sys", **case})
    limited = Client(port, user="limited", name="limited", **{"pass": "limited"}).ready()
    for client, user in ((a, "a"), (limited, "limited")):
        for subject, body in [("$SYS.REQ.USER.INFO", ""), ("$SYS.REQ.ACCOUNT.PING.CONNZ", ""), ("$SYS.REQ.SERVER.PING.CONNZ", '{"auth":true}'),
                              ("$SYS.REQ.ACCOUNT.PING.STATZ", ""), ("$SYS.REQ.SERVER.PING.VARZ", "")]:
            cases.append({"user": user, **client.request(subject, body, wait=0.4)})
    for case in cases:  # too large and of no interest here: only the keys
        if "IPQUEUESZ" in case["subject"] and case.get("body"):
            case["body"] = sorted(case["body"])
    case = sys_user.request(f"$SYS.REQ.SERVER.{sid}.KICK", '{"cid":%d}' % a.info["client_id"], wait=0.4)
    cases.append({"user": "sys", **case})
    text = json.dumps(cases).replace(sid, "SERVER_ID")
    cases = json.loads(text)
    save("requests", {str(index): case for index, case in enumerate(cases)})
    server.stop()


def record_tls():
    folder = certificates()
    server = Server(TLS.replace("@CERTS", folder))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(folder + "/client.pem", folder + "/client.key")
    client = Client(server.port, tls=context).ready()
    client.flush()
    GOLDEN["varz"]["tls"] = server.get("/base/varz")
    GOLDEN["connz"]["tls"] = server.get("/base/connz")
    GOLDEN["connz"]["tls auth"] = server.get("/base/connz?auth=1")
    root = server.get("/base")
    root["text"] = re.findall(r"<a href=(\S+?)(?: class=\S+)?>([^<]*)<", root["text"])
    GOLDEN["index_base"] = {"base": root, "base slash": server.get("/base/"), "root": server.get("/"), "outside": server.get("/varz")}
    client.socket.close()
    time.sleep(0.1)
    GOLDEN["connz"]["tls closed"] = server.get("/base/connz?state=closed&auth=1")
    server.stop()


def record_events():
    events = []
    server = Server(BUSY + '\nlame_duck_duration: "30s"\nlame_duck_grace_period: "1s"\n')
    watcher = Client(server.port, user="sys", name="watcher", **{"pass": "sys"}).ready()
    watcher.send("SUB $SYS.> 1\r\n")
    watcher.flush()
    inside = Client(server.port, user="a", name="inside", **{"pass": "a"}).ready()
    inside.send("SUB $SYS.> 1\r\n")
    inside.flush()
    other = Client(server.port, user="b", name="passing", **{"pass": "b"}).ready()
    other.send("PUB ask.a 2\r\nhi\r\n")
    other.flush()
    other.socket.close()
    wrong = Client(server.port, user="a", **{"pass": "wrong"})
    while wrong.line():
        pass
    watcher.send(f"PUB $SYS.REQ.SERVER.{watcher.info['server_id']}.STATSZ 0\r\n\r\n")

    def collect(client, who, wait):
        while True:
            message = client.message(wait)
            if not message:
                return
            subject, headers, body = message
            if subject.startswith("$SYS.REQ"):
                continue
            events.append({"seen by": who, "subject": subject, "headers": headers, "body": json.loads(body)})
    collect(watcher, "sys", 1.5)
    collect(inside, "a", 0.3)
    server.process.send_signal(signal.SIGUSR2)
    collect(watcher, "sys", 1.0)
    server.stop(signal.SIGKILL)
    server = Server(PLAIN + "accounts { SYS { users: [{user: sys, password: sys}] } }\nsystem_account: SYS\n")
    watcher = Client(server.port, user="sys", name="watcher", **{"pass": "sys"}).ready()
    watcher.send("SUB $SYS.> 1\r\n")
    watcher.flush()
    server.process.send_signal(signal.SIGINT)
    collect(watcher, "sys", 1.0)
    server.stop(signal.SIGKILL)
    save("events", {str(index): event for index, event in enumerate(events)})


GOLDEN = {}
record_plain()
record_busy()
record_tls()
record_sections()
for name, cases in GOLDEN.items():
    save(name, cases)
record_events()
