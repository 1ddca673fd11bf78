"""Entry point of the Python runner: imports every scenario file and runs them."""

import asyncio
import logging
import os
import sys

import kit
from scenarios import (  # noqa: F401  importing registers the scenarios
    seeds, messaging, requests, information, auth, permissions, accounts, system, mappings,
    tls, limits, draining, reconnecting, health, services,
)

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # nats-py logs what its callbacks also tell
    failed = asyncio.run(kit.run_all(os.environ.get("NATTER_COMPAT_FILTER", "")))
    sys.exit(1 if failed else 0)
