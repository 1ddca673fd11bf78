"""NATS keys, JWTs and creds files, with `openssl` doing the ed25519 arithmetic.

The standard library has no ed25519, and the harness must need nothing else, so a
key pair lives in a PEM file and is only *encoded* here: base32 of prefix, 32 bytes
and a CRC-16 (seeds carry two prefix bytes).
"""

import base64
import json
import subprocess
import time
from pathlib import Path

PREFIX = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
SEED = 18 << 3


def _crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def _encode(raw):
    checked = raw + _crc16(raw).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


def _url64(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _openssl(*args, stdin=None):
    done = subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True, check=True)
    return done.stdout


class KeyPair:
    """One ed25519 key of a NATS kind: `public`, `seed`, and signing of JWTs."""

    def __init__(self, folder: Path, name, kind):
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.kind, self.pem = name, kind, folder / f"{name}.nk.pem"
        _openssl("genpkey", "-algorithm", "ed25519", "-out", self.pem)
        # The last 32 bytes of both DER encodings are the raw key.
        private = _openssl("pkey", "-in", self.pem, "-outform", "DER")[-32:]
        public = _openssl("pkey", "-in", self.pem, "-pubout", "-outform", "DER")[-32:]
        prefix = PREFIX[kind]
        self.public = _encode(bytes([prefix]) + public)
        self.seed = _encode(bytes([SEED | (prefix >> 5), (prefix & 31) << 3]) + private)

    def issue(self, subject, nats, expires=None):
        """Signs a version 2 claim about `subject` with this key."""
        claims = {"jti": "COMPAT", "iat": int(time.time()) - 10, "iss": self.public,
                  "name": subject.name, "sub": subject.public,
                  "nats": {**nats, "type": subject.kind, "version": 2}}
        if expires is not None:
            claims["exp"] = expires
        head = _url64(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
        body = f"{head}.{_url64(json.dumps(claims).encode())}"
        # `pkeyutl -rawin` wants a file: ed25519 hashes its input twice.
        message = self.pem.with_suffix(".msg")
        message.write_text(body)
        signature = _openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.pem, "-in", message)
        return f"{body}.{_url64(signature)}"


def creds(path: Path, jwt, seed):
    """Writes the decorated file client libraries read."""
    path.write_text(
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n")
    path.chmod(0o600)
    return str(path)


UNLIMITED = {"subs": -1, "data": -1, "payload": -1}


def make(folder: Path):
    """Makes all keys of a run; returns the `auth` section, what the `jwt` server needs, and an issuer of brief creds."""
    user, unknown = KeyPair(folder, "user", "user"), KeyPair(folder, "unknown", "user")
    operator = KeyPair(folder, "operator", "operator")
    account, strange = KeyPair(folder, "account", "account"), KeyPair(folder, "strange", "account")
    member = KeyPair(folder, "member", "user")

    limits = {**UNLIMITED, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
    account_jwt = operator.issue(account, {"limits": limits, "default_permissions": {"pub": {}, "sub": {}}})
    rights = {"pub": {"deny": ["denied.>"]}, "sub": {}, **UNLIMITED}

    def write(name, issuer, expires=None, **limits):
        jwt = issuer.issue(member, {**rights, **limits}, expires)
        return creds(folder / f"{name}.creds", jwt, member.seed)

    def issue(seconds):
        """Creds that end soon, for the control door."""
        return write(f"brief_{time.monotonic_ns()}", account, int(time.time()) + seconds)

    auth = {
        "token": "s3cr3t-token",
        "nkey_seed": user.seed, "nkey_public": user.public, "nkey_seed_unknown": unknown.seed,
        "creds": write("good", account),
        "creds_limited": write("limited", account, payload=1000, subs=3),
        "creds_unknown": write("unknown", strange),
        "creds_expired": write("expired", account, int(time.time()) - 5),
    }
    operator_jwt = operator.issue(operator, {})
    jwt = {"operator": operator_jwt, "account": account.public, "account_jwt": account_jwt}
    return auth, jwt, issue
