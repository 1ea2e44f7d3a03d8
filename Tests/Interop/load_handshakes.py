#!/usr/bin/env python3
"""A storm of TLS handshakes upon an edge-node: all are answered, and nothing of them is left behind.

usage: load_handshakes.py [--dev var/dev.json] [--count N]

The connections come some hundreds at a time, each with a handshake of its own; every tenth asks for something. Exits
non-zero if anything is not right.
"""
import argparse
import json
import multiprocessing
import os
import socket
import ssl
import time
import urllib.parse

from lib_checks import check, finish

AT_ONCE = 200
WORKERS = 2


def storm(host, port, authority, count):
    """Makes handshakes one batch after the other; returns how many were made, and how many requests answered."""
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    made = answered = 0
    while made < count:
        batch = []
        for _ in range(min(AT_ONCE, count - made)):
            batch.append(context.wrap_socket(
                socket.create_connection((host, port), timeout=30), do_handshake_on_connect=False))
        # All have sent their first message before the first goes on.
        for connection in batch:
            connection.setblocking(False)
            try:
                connection.do_handshake()
            except ssl.SSLWantReadError:
                pass
            connection.settimeout(30)
        for connection in batch:
            connection.do_handshake()
            made += 1
        for connection in batch[::10]:
            connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if connection.recv(12) == b"HTTP/1.1 404":
                answered += 1
        # Some end in order, some are just gone.
        for index, connection in enumerate(batch):
            if index % 2:
                try:
                    connection.settimeout(1)
                    connection.unwrap()
                except (OSError, ValueError):
                    pass
            connection.close()
    return made, answered


def storms(address, authority, count):
    share = count // WORKERS
    with multiprocessing.Pool(WORKERS) as pool:
        outcomes = pool.starmap(storm, [(*address, authority, share)] * WORKERS)
    return sum(made for made, _ in outcomes), sum(answered for _, answered in outcomes)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Anonymous:"))


def settle(pid, expected):
    """Waits until the process has no more descriptors than it should; returns how many it has."""
    deadline = time.monotonic() + 20
    while descriptors(pid) > expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return descriptors(pid)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev", default="var/dev.json")
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    with open(options.dev) as file:
        dev = json.load(file)
    edge = dev["edges"][0]
    url = urllib.parse.urlsplit(edge["http"])
    address, authority, pid = (url.hostname, url.port), dev["ca"], edge["pid"]

    # What the first thousands leave in the allocator and in caches is no leak: it does not come again.
    first = options.count // 4
    standing = descriptors(pid)
    made, answered = storms(address, authority, first)
    check(f"{first} handshakes", made == first, made)
    settle(pid, standing + 2)
    before = anonymous_bytes(pid)

    rest = options.count - first
    began = time.monotonic()
    made, more = storms(address, authority, rest)
    elapsed = time.monotonic() - began
    check(f"{rest} more", made == rest, made)
    check("every request was answered", answered + more == options.count // 10, answered + more)
    left = settle(pid, standing + 2)
    check("no descriptor is left open", left <= standing + 2, f"{left} instead of {standing}")
    # 200 bytes of each handshake would already be too much.
    grown = anonymous_bytes(pid) - before
    check("memory is where it was", grown <= rest * 200, f"{grown} bytes more")
    print(f"{rest / elapsed:.0f} handshakes/s, {grown} bytes more memory")
    finish()


if __name__ == "__main__":
    main()
