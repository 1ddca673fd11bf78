"""Entry point of the Python runner: imports every scenario file and runs them."""

import asyncio
import logging
import os
import sys

import kit
from scenarios import (  # noqa: F401  importing registers the scenarios
    seeds, messaging, requests, information, auth, permissions, accounts, system, mappings,
    tls, limits, draining, reconnecting, health, services,
    stream_seeds, streams, stream_limits, publishing, stored_messages, stream_copies, consumers, pulling, pushing,
    acknowledging, keyvalue, objects, advisories, stream_accounts, persistence,
)

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # nats-py logs what its callbacks also tell
    failed = asyncio.run(kit.run_all(os.environ.get("NATTER_COMPAT_FILTER", "")))
    sys.exit(1 if failed else 0)
