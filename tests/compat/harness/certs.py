"""Certificates and keys made at run time with `openssl`.

Nothing secret is ever in the tree: every run has its own authority, its own
server and client certificates, and its own ed25519 keys (see `nkeys.py`).
"""

import subprocess
from pathlib import Path


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {args[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def _authority(folder, name):
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-sha256",
             "-subj", f"/O=Compat/CN={name}", "-keyout", key, "-out", cert,
             "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    return cert, key


def _leaf(folder, name, authority, usage, alt):
    """Issues one end-entity certificate with the key usage and subject alternative names given."""
    cert, key, request = folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.csr"
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"basicConstraints=CA:FALSE\nextendedKeyUsage={usage}\nsubjectAltName={alt}\n")
    _openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-sha256",
             "-subj", f"/O=Compat/CN={name}", "-keyout", key, "-out", request)
    _openssl("x509", "-req", "-in", request, "-CA", authority[0], "-CAkey", authority[1],
             "-CAcreateserial", "-days", "2", "-sha256", "-extfile", extensions, "-out", cert)
    return cert, key


def make(folder: Path):
    """Makes the whole set; returns the `tls` section of the contract plus the server's pair."""
    folder.mkdir(parents=True, exist_ok=True)
    ca, other = _authority(folder, "ca"), _authority(folder, "other_ca")
    server = _leaf(folder, "server", ca, "serverAuth,clientAuth", "DNS:localhost,IP:127.0.0.1")
    client = _leaf(folder, "client", ca, "clientAuth", "email:compat@example.com")
    stranger = _leaf(folder, "stranger", ca, "clientAuth", "email:stranger@example.com")
    foreign = _leaf(folder, "foreign", other, "clientAuth", "email:compat@example.com")
    section = {
        "ca": ca[0], "other_ca": other[0],
        "client_cert": client[0], "client_key": client[1],
        "stranger_cert": stranger[0], "stranger_key": stranger[1],
        "foreign_cert": foreign[0], "foreign_key": foreign[1],
    }
    return {key: str(path) for key, path in section.items()}, server
