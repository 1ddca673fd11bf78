"""Every server the harness offers, as configuration text.

`SERVERS` maps a server name to a function from `Material` to a dictionary of
variants; `base` is the one it starts with. Ports, monitoring and names are added
by `supervisor.py`. It also fills in `@cluster_port@` (chosen by the server, then
kept), `@route:NAME@` (the cluster address of a server started earlier) and `@store@` (a folder
of the server's own that outlives its restarts). The README's tables describe the same thing for readers.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Material:
    """What configurations refer to: made once per run."""
    tls: dict
    server_pair: tuple
    auth: dict
    jwt: dict
    issue: Callable[[int], str]

    def tls_block(self, *extra):
        cert, key = self.server_pair
        lines = [f'cert_file: "{cert}"', f'key_file: "{key}"', f'ca_file: "{self.tls["ca"]}"', "timeout: 5"]
        return "tls {\n  " + "\n  ".join([*lines, *extra]) + "\n}\n"


# bcrypt, cost 4, of "builder" and of the token.
BUILDER = "$2a$04$Gf.7pXZAkC2GksNJgsPXx.aTH6JwNvTA98riy7I9zsHC/qJ0canMG"
TOKEN = "$2a$04$ZbFBpqujL74eP15mxXSyIOT/jepfeVwlmv3yyXloUObyLuKSv68NS"

USERS = f"""
authorization {{
  users: [
    {{ user: alice, password: wonderland }}
    {{ user: bob, password: "{BUILDER}" }}
  ]
}}
"""

PERMISSIONS = """
authorization {
  default_permissions {
    publish: ["open.>", "_INBOX.>"]
    subscribe: ["open.>", "_INBOX.>"]
  }
  users: [
    { user: admin, password: pw, permissions { publish: ">", subscribe: ">" } }
    { user: limited, password: pw, permissions {
        publish { allow: ["allowed.>"], deny: ["allowed.secret.>"] }
        subscribe { allow: ["allowed.>", "_INBOX.>", "mixed.*"], deny: ["allowed.secret.>", "mixed.hidden"] }
    } }
    { user: requester, password: pw, permissions { publish: "service.>", subscribe: "_INBOX.>" } }
    { user: responder, password: pw, permissions {
        subscribe: "service.>", allow_responses: { max: 2, expires: "1m" }
    } }
    { user: queuer, password: pw, permissions {
        publish { deny: ">" }
        subscribe { allow: ["work v1", "work v1.*"] }
    } }
    { user: dequeuer, password: pw, permissions {
        publish { deny: ">" }
        subscribe { allow: ["work", "work *"], deny: ["work bad"] }
    } }
    { user: defaulted, password: pw }
  ]
}
"""

ACCOUNTS = """
accounts {
  ALPHA {
    users: [ { user: alpha, password: alpha } ]
    exports: [
      { stream: "events.>" }
      { stream: "private.>", accounts: [BETA] }
      { service: "svc.add" }
      { service: "svc.nobody" }
      { service: "svc.many", response_type: stream }
    ]
  }
  BETA {
    users: [ { user: beta, password: beta } ]
    imports: [
      { stream: { account: ALPHA, subject: "events.>" }, prefix: "from_alpha" }
      { stream: { account: ALPHA, subject: "private.*" }, to: "hidden.*" }
      { service: { account: ALPHA, subject: "svc.add" }, to: "remote.add" }
      { service: { account: ALPHA, subject: "svc.nobody" }, to: "remote.nobody" }
      { service: { account: ALPHA, subject: "svc.many" } }
    ]
  }
  GAMMA {
    users: [ { user: gamma, password: gamma } ]
    mappings {
      "old.*": "new.$1"
      "swap.*.*": "swapped.{{wildcard(2)}}.{{wildcard(1)}}"
      "split": [ { destination: "split.a", weight: 50% }, { destination: "split.b", weight: 50% } ]
      "part.*": "part.{{wildcard(1)}}.{{partition(4,1)}}"
    }
  }
  GUEST { users: [ { user: guest, password: guest } ] }
  SYS { users: [ { user: sys, password: sys } ] }
}
system_account: SYS
no_auth_user: guest
"""


STREAMS = 'jetstream { store_dir: "@store@" }\n'

# A server with a domain; accounts that may store all, some, or nothing.
STREAM_ACCOUNTS = """
jetstream { store_dir: "@store@", domain: hub }
accounts {
  ALL { jetstream: enabled, users: [ { user: all, password: all } ] }
  SOME {
    jetstream { max_file: 4MB, max_mem: 1MB, max_streams: 2, max_consumers: 2 }
    users: [ { user: some, password: some } ]
  }
  NOTHING { users: [ { user: nothing, password: nothing } ] }
  SYS { users: [ { user: sys, password: sys } ] }
}
system_account: SYS
"""

# Accounts with nothing but streams, one for each scenario that is played at a time.
TRACE_ACCOUNTS = 12
TRACES = STREAMS + "accounts {\n" + "".join(
    f"  T{number} {{ jetstream: enabled, users: [ {{ user: t{number}, password: t{number} }} ] }}\n"
    for number in range(TRACE_ACCOUNTS)) + "}\n"


def _jwt(material):
    jwt = material.jwt
    return (f'operator: "{jwt["operator"]}"\nresolver: MEMORY\n'
            f'resolver_preload {{ {jwt["account"]}: "{jwt["account_jwt"]}" }}\n')


def _reload_users(*names):
    users = ", ".join(f"{{ user: {name}, password: {name} }}" for name in names)
    return f"authorization {{ users: [ {users} ] }}\n"


def _same(text):
    return lambda material: {"base": text}


SERVERS = {
    "plain": _same(""),
    "token": lambda m: {"base": f'authorization {{ token: "{m.auth["token"]}" }}\n'},
    "token_bcrypt": _same(f'authorization {{ token: "{TOKEN}" }}\n'),
    "users": _same(USERS),
    "nkey": lambda m: {"base": f'authorization {{ users: [ {{ nkey: {m.auth["nkey_public"]} }} ] }}\n'},
    "jwt": lambda m: {"base": _jwt(m)},
    "permissions": _same(PERMISSIONS),
    "accounts": _same(ACCOUNTS),
    "tls": lambda m: {"base": m.tls_block()},
    "tls_verify": lambda m: {"base": m.tls_block("verify: true")},
    "tls_map": lambda m: {"base": m.tls_block("verify_and_map: true")
                          + 'authorization { users: [ { user: "compat@example.com" } ] }\n'},
    "tls_first": lambda m: {"base": m.tls_block("handshake_first: true")},
    "tls_optional": lambda m: {"base": m.tls_block() + "allow_non_tls: true\n"},
    "limits": _same("max_payload: 1024\nmax_subscriptions: 5\nmax_control_line: 512\n"),
    "full": _same("max_connections: 2\n"),
    "slow": _same('max_pending: 1MB\nwrite_deadline: "30s"\n'),
    "slow_write": _same('max_pending: 512MB\nwrite_deadline: "300ms"\n'),
    "stale": _same('ping_interval: "300ms"\nping_max: 2\n'),
    "restart": _same(""),
    "streams": _same(STREAMS),
    "streams_restart": _same(STREAMS),
    "streams_accounts": _same(STREAM_ACCOUNTS),
    "traces": _same(TRACES),
    "lame": _same('lame_duck_grace_period: "2s"\nlame_duck_duration: "30s"\n'),
    "reload": lambda m: {"base": _reload_users("first"), "more": _reload_users("first", "second")},
    "advertise": _same('client_advertise: "127.0.0.2:4999"\n'),
    "pair_a": _same('cluster { name: pair, listen: "127.0.0.1:@cluster_port@" }\n'),
    "pair_b": _same('cluster { name: pair, listen: "127.0.0.1:@cluster_port@", routes: [ "@route:pair_a@" ] }\n'),
}

# What the product may still lack; any other server that refuses its configuration is a failure.
# A feature that is built leaves this list.
MAY_BE_UNBUILT = frozenset({"jwt", "pair_a", "pair_b", "streams_accounts"})
