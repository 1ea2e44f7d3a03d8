#!/usr/bin/env python3
"""An edge-node that has run out of descriptors: what stands goes on, what waits is taken later, and it does not spin.

usage: load_descriptors.py [--dev var/dev.json]

Lowers the limit of the running process (prlimit), and puts it back. Exits non-zero if anything is not right.
"""
import argparse
import json
import os
import resource
import select
import socket
import time
import urllib.parse

from lib_checks import check, finish

REQUEST = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
STANDING = 20
ROOM = 40
WAITING = 200


def processor_seconds(pid):
    """Of all threads of the process, user and system."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def ask(connection, timeout):
    """Whether a request is answered in time."""
    connection.settimeout(timeout)
    try:
        connection.sendall(REQUEST)
        return await_answer(connection, timeout)
    except OSError:
        return False


def await_answer(connection, timeout):
    connection.settimeout(timeout)
    try:
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = connection.recv(65536)
            if not piece:
                return False
            answer += piece
        return answer.startswith(b"HTTP/1.1 404")
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev", default="var/dev.json")
    options = parser.parse_args()
    with open(options.dev) as file:
        dev = json.load(file)
    edge = dev["edges"][0]
    url = urllib.parse.urlsplit(edge["http"])
    pid = edge["pid"]

    def connect():
        return socket.create_connection((url.hostname, url.port), timeout=10)

    standing = [connect() for _ in range(STANDING)]
    check("answers before", all(ask(one, 10) for one in standing))

    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + ROOM, limits[1]))
    try:
        # The kernel completes these connections; the process cannot take them all.
        waiting = [connect() for _ in range(WAITING)]
        for one in waiting:
            one.sendall(REQUEST)
        time.sleep(1)
        taken = len(os.listdir(f"/proc/{pid}/fd"))
        check("the limit is reached", taken >= highest + ROOM - 5, f"{taken} of {highest + 1 + ROOM}")

        before, began = processor_seconds(pid), time.monotonic()
        time.sleep(3)
        share = (processor_seconds(pid) - before) / (time.monotonic() - began)
        check("it does not spin", share < 0.1, f"{share:.0%} of a processor")
        check("standing connections go on", all(ask(one, 10) for one in standing))

        answered = [one for one in waiting if await_answer(one, 0.05)]
        check("some were taken, some not", 0 < len(answered) < WAITING, len(answered))
        for one in answered:
            one.close()
        rest = [one for one in waiting if one not in answered]
        # Each one that is answered and closed makes room for another. In no order: every loop takes from a queue of its own.
        late, deadline = 0, time.monotonic() + 30
        while rest and time.monotonic() < deadline:
            for one in select.select(rest, [], [], 1)[0]:
                late += await_answer(one, 10)
                one.close()
                rest.remove(one)
        check("the others were answered when there was room", late == WAITING - len(answered), f"{late}, not {len(rest)}")
        with connect() as one:
            check("a new connection is answered", ask(one, 10))
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    check("standing connections go on afterwards", all(ask(one, 10) for one in standing))
    for one in standing:
        one.close()
    finish()


if __name__ == "__main__":
    main()
