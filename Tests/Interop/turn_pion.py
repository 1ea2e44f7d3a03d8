#!/usr/bin/env python3
"""pion's TURN client over UDP, TCP, TLS and DTLS: between two allocations, and to a peer outside.

usage: turn_pion.py [--dev var/dev.json] [--edge N]
       turn_pion.py --coturn      against coturn's own server

Builds pion_client/main.go with Debian's Go and its packages of pion (golang-github-pion-turn.v2-dev,
golang-github-pion-dtls.v2-dev). Exits non-zero if anything is not right.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

import lib_relay
from lib_checks import check, finish

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / ".build" / "pion"
KINDS = ["udp", "tcp", "tls", "dtls"]


def build():
    """The client; what has not changed is not compiled again."""
    BUILD.mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(BUILD), "GOCACHE": str(BUILD / "cache"), "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode"}
    program = BUILD / "pion_client"
    done = subprocess.run(
        ["go", "build", "-o", program, "."], cwd=HERE / "pion_client", env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"go build: {done.stdout}")
    return program


def run(program, relay, kind):
    port = relay.tls_port if kind in ("tls", "dtls") else relay.port
    done = subprocess.run(
        [program, kind, f"{relay.host}:{port}", *relay.login("pion"), relay.ca], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=60)
    return done.returncode == 0, done.stdout


def main():
    options = lib_relay.arguments(__doc__).parse_args()
    program = build()
    with lib_relay.relay(options) as relay, concurrent.futures.ThreadPoolExecutor() as pool:
        for kind, result in zip(KINDS, pool.map(lambda kind: run(program, relay, kind), KINDS)):
            check(f"{kind}: two allocations, and a peer", *result)
    finish()


main()
