#!/usr/bin/env python3
"""kill -TERM while calls go on: they go on until they end, nothing new begins, and the process ends within its bound.

usage: turn_drain.py [--dev var/dev.json] [--edge N]

Begins the edge again by itself, with a drain timeout of its own. Exits non-zero if anything is not right.
"""
import signal
import threading
import time

import lib_relay
from lib_checks import check, finish
from lib_turn import A, peer_socket

KINDS = ["udp", "tcp", "tls", "dtls"]
CALLS = 8       # of each kind
DRAIN_S = 4


class Call:
    """An allocation and a peer that sends back what it hears."""

    def __init__(self, relay, kind):
        self.client = relay.client(kind, name="drain")
        self.peer = peer_socket()
        self.peer.settimeout(1)
        self.allocated = self.client.allocate()
        self.client.bind_channel(0x4000, self.peer.getsockname())

    def goes_through(self, number):
        data = b"%08d" % number
        self.client.send_channel(0x4000, data)
        heard, relayed = self.peer.recvfrom(100)
        self.peer.sendto(heard, relayed)
        return heard == data and self.client.relayed(1) == (0x4000, data)


class Load(threading.Thread):
    """All calls, one message after the other, until it is told to stop."""

    def __init__(self, calls):
        super().__init__(daemon=True)
        self.calls, self.passed, self.failure, self.stopping = calls, 0, None, False
        self.start()

    def run(self):
        while not self.stopping and not self.failure:
            for call in self.calls:
                try:
                    if not call.goes_through(self.passed):
                        self.failure = "something else came back"
                    self.passed += 1
                except (OSError, TimeoutError) as error:
                    self.failure = repr(error)
                    return

    def passes(self, more):
        """Whether so many more messages go to and fro."""
        wanted, deadline = self.passed + more, time.monotonic() + 10
        while self.passed < wanted and not self.failure and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.passed >= wanted


def terminate(edge):
    edge.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    # Until the relay has heard of it.
    while time.monotonic() < began + 2:
        with edge.client(name="late") as late:
            if late.allocate().code:
                return began
            late.refresh(0)
    return began


def calls_end_by_themselves(edge):
    calls = [Call(edge, kind) for kind in KINDS for _ in range(CALLS)]
    check("calls before", all(call.allocated.code == 0 for call in calls))
    load = Load(calls)
    began = terminate(edge)
    for kind in KINDS:
        with edge.client(kind, name="late") as late:
            refusal = late.allocate()
            named = refusal.address(A.ALTERNATE_SERVER), refusal.get(A.ALTERNATE_DOMAIN)
            check(f"{kind}: who is new is sent elsewhere", refusal.code == 300 and named == (("192.0.2.7", 3478), b"other.example.net"), refusal)
    check("calls go on", load.passes(20 * len(calls)), load.failure)
    load.stopping = True
    load.join()
    check("nothing was lost", load.failure is None, load.failure)
    check("calls may be refreshed", all(call.client.refresh(600).code == 0 for call in calls))
    check("the process is still there", edge.process.poll() is None)
    for call in calls:
        call.client.refresh(0)
    status = edge.process.wait(30)
    took = time.monotonic() - began
    check("it ends with the last call, before its time is up", status == 0 and took < DRAIN_S, f"{status} after {took:.1f} s")


def calls_are_cut_off(edge):
    calls = [Call(edge, kind) for kind in KINDS for _ in range(CALLS)]
    load = Load(calls)
    began = terminate(edge)
    with edge.client(name="late") as late:
        check("without another server who is new is refused", late.allocate().code == 508)
    status = edge.process.wait(DRAIN_S + 20)
    took = time.monotonic() - began
    load.stopping = True
    check("calls that do not end are cut off at the bound", status == 0 and DRAIN_S - 0.5 < took < DRAIN_S + 2, f"{status} after {took:.1f} s")
    load.join()
    check("after having gone on till then", load.passed > 20 * len(calls), load.passed)


def main():
    bound = {"drain_timeout_ms": DRAIN_S * 1000}
    elsewhere = {"alternate_servers": '["192.0.2.7:3478"]', "alternate_domain": "other.example.net"}
    options = lib_relay.arguments(__doc__).parse_args()
    edge = lib_relay.Edge(options.dev, options.edge, bound | elsewhere)
    calls_end_by_themselves(edge)
    edge.start(bound)
    calls_are_cut_off(edge)
    finish()


main()
