#!/usr/bin/env python3
"""A million messages that are nearly good, by every transport: valid ones with bytes, lengths and attributes changed, cut and made up,
half of them signed again so that they get behind the authentication. The relay goes on, with the memory that it had.

usage: turn_malformed.py [--messages N] [--seed N] [--transport NAME]…

Runs in a network namespace of its own, so that nothing of it is relayed to anybody: needs root or user namespaces, and ip (iproute2).
Exits non-zero if anything is not right.
"""
import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import random
import socket
import ssl
import struct
import time

import lib_namespace
import lib_relay
from lib_checks import check, finish
from lib_turn import (
    ALLOCATE, BINDING, CHANNEL_BIND, CONNECT, CONNECTION_BIND, COOKIE, DATA_METHOD, INDICATION, PERMISSION, REFRESH, SEND, TCP, UDP, A,
    Closed, Peer, Stream, attribute, channel_number, family, lifetime, transport)

PORT, TLS_PORT = 3478, 5349
BATCH = 200
GROWTH_BYTES = 8 << 20
# Of all messages; the streams are begun again whenever the relay has had enough of one.
SHARES = {"udp": 0.6, "tcp": 0.25, "tls": 0.1, "dtls": 0.05}


class Mutator:
    """Nearly good messages of one client."""

    def __init__(self, client, randomness):
        self.client, self.random = client, randomness

    def seed(self):
        """The method, the kind and the attributes of a good message."""
        peer = (f"9.9.{self.random.randrange(256)}.{self.random.randrange(256)}", self.random.randrange(1, 65536))
        peer6 = (f"2a00:1450::{self.random.randrange(65536):x}", self.random.randrange(1, 65536))
        return self.random.choice((
            (BINDING, 0, []),
            (BINDING, 0, [attribute(A.CHANGE_REQUEST, struct.pack(">I", self.random.randrange(8))), attribute(A.PADDING, bytes(20)),
                          attribute(A.RESPONSE_PORT, struct.pack(">HH", 5000, 0))]),
            (ALLOCATE, 0, [transport()]),
            (ALLOCATE, 0, [transport(), lifetime(600), attribute(A.EVEN_PORT, b"\x80"), attribute(A.DONT_FRAGMENT)]),
            (ALLOCATE, 0, [transport(), family(2), attribute(A.RESERVATION_TOKEN, bytes(8))]),
            (ALLOCATE, 0, [transport(), family(2, A.ADDITIONAL_ADDRESS_FAMILY), attribute(A.MOBILITY_TICKET)]),
            (REFRESH, 0, [lifetime(self.random.randrange(1, 1 << 32))]),
            (REFRESH, 0, [lifetime(600), family(1), attribute(A.MOBILITY_TICKET, self.random.randbytes(32))]),
            (PERMISSION, 0, [Peer(peer), Peer(peer)]),
            (PERMISSION, 0, [Peer(peer6)]),
            (CHANNEL_BIND, 0, [channel_number(0x4000 + self.random.randrange(0x1000)), Peer(peer)]),
            (CONNECT, 0, [Peer(peer)]),
            (CONNECTION_BIND, 0, [attribute(A.CONNECTION_ID, self.random.randbytes(4))]),
            (SEND, INDICATION, [Peer(peer), attribute(A.DATA, self.random.randbytes(self.random.randrange(200)))]),
            (SEND, INDICATION, [Peer(peer6), attribute(A.DATA, b"x"), attribute(A.DONT_FRAGMENT)]),
            (DATA_METHOD, INDICATION, [Peer(peer), attribute(A.DATA, b"x")]),
        ))

    def message(self):
        if self.random.random() < 0.1:
            return self.channel_data()
        method, kind, attributes = self.seed()
        transaction = self.random.randbytes(12)
        parts = [one.bytes(transaction) if isinstance(one, Peer) else one for one in attributes]
        for _ in range(self.random.randrange(1, 4)):
            parts = self.change_parts(parts)
        is_signed = kind != INDICATION and self.random.random() < 0.5
        data = self.client.message(method, *parts, kind=kind, transaction=transaction, authenticated=kind != INDICATION)
        return data if is_signed else self.change_bytes(data)

    def channel_data(self):
        data = self.random.randbytes(self.random.randrange(40))
        count = self.random.choice((len(data), len(data) + 1, 0, 0xFFFF, self.random.randrange(65536)))
        return struct.pack(">HH", self.random.randrange(0x4000, 0x8000), count) + data

    def change_parts(self, parts):
        parts = list(parts)
        at = self.random.randrange(len(parts) + 1)
        what = self.random.randrange(7)
        if what == 0:    # one that is not asked for
            count = self.random.choice((0, 1, 3, 4, 5, 8, 20, 32, 100))
            parts.insert(at, attribute(self.random.choice((*A, self.random.randrange(65536))), self.random.randbytes(count)))
        elif what == 1 and parts:
            parts.insert(at, self.random.choice(parts))
        elif what == 2 and parts:
            parts.pop(at - 1)
        elif what == 3:
            self.random.shuffle(parts)
        elif what == 4 and parts:    # another value
            count = self.random.choice((0, 1, 2, 3, 4, 8, 12, 20, 21, 64))
            parts[at - 1] = attribute(int.from_bytes(parts[at - 1][:2], "big"), self.random.randbytes(count))
        elif what == 5 and parts:    # a length that lies
            one = parts[at - 1]
            parts[at - 1] = one[:2] + struct.pack(">H", self.random.choice((0, 1, len(one), 0xFFFF, self.random.randrange(65536)))) + one[4:]
        elif parts:
            parts[at - 1] = self.change_bytes(parts[at - 1])
        return parts

    def change_bytes(self, data):
        data = bytearray(data)
        what = self.random.randrange(6)
        if what == 0:
            data = data[:self.random.randrange(len(data) + 1)]
        elif what == 1:
            data += self.random.randbytes(self.random.randrange(1, 40))
        elif what == 2 and len(data) >= 20:
            data[2:4] = struct.pack(">H", self.random.choice((0, len(data) - 20, len(data), 0xFFFF, self.random.randrange(65536))))
        else:
            for _ in range(self.random.randrange(1, 6)):
                if data:
                    data[self.random.randrange(len(data))] = self.random.randrange(256)
        return bytes(data)


class Local(lib_relay.Edge):
    """In the namespace nobody verifies a certificate."""

    def link(self, kind="udp", host=None, source=None):
        if kind != "tls":
            return super().link(kind, host, source)
        return Stream((self.host, self.tls_port), source, ssl._create_unverified_context())


class Sender:
    """Sends by one transport, and waits after every batch until the relay has gone through it."""

    def __init__(self, relay, kind, seed):
        self.relay, self.kind, self.random = relay, kind, random.Random(seed)
        self.client, self.begun = None, 0

    def begin(self):
        if self.client:
            with contextlib.suppress(OSError, Closed):
                self.client.link.close()
        self.begun += 1
        self.client = self.relay.client(self.kind, name=f"{self.kind}-{self.begun % 8}")
        self.client.link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.allocate()

    def allocate(self):
        """Over a stream, every other allocation is one of TCP (RFC 6062)."""
        self.client.allocate(protocol=TCP if self.client.link.is_stream and self.random.random() < 0.5 else UDP)

    def send(self, count):
        self.begin()
        while count > 0:
            mutator = Mutator(self.client, self.random)
            batch = [mutator.message() for _ in range(BATCH)]
            # What a stream carries keeps its frames, since the relay closes one in which it cannot tell messages apart.
            is_framed = self.client.link.is_stream and self.random.random() < 0.95
            try:
                if self.random.random() < 0.2:
                    self.client.refresh(0)
                for one in batch:
                    if is_framed:
                        one = self.framed(one)
                    if one:
                        self.client.link.send(one)
                if self.client.link.is_stream and not is_framed:
                    self.begin()
                elif self.await_relay() == 437:
                    self.allocate()
            except (Closed, ConnectionError, ssl.SSLError) as error:
                if is_framed or not self.client.link.is_stream:
                    raise RuntimeError(f"{self.kind}: the relay has closed a stream of whole messages") from error
                self.begin()
            count -= len(batch)

    @staticmethod
    def framed(data):
        """With the length that is its own and what else a stream is read by; nothing where that is not to be had."""
        data += b"\0" * (-len(data) % 4)
        if len(data) >= 20 and data[0] < 4:  # RFC 7983
            return data[:2] + struct.pack(">HI", len(data) - 20, COOKIE) + data[8:]
        if len(data) >= 4 and data[0] & 0xF0 == 0x40:
            return data[:2] + struct.pack(">H", len(data) - 4) + data[4:]
        return b""

    def await_relay(self):
        answer = self.client.ask(REFRESH)
        self.client.waiting.clear()
        return answer.code


def work(arguments):
    relay, kind, seed, count = arguments
    Sender(relay, kind, seed).send(count)


def memory(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE"), len(os.listdir(f"/proc/{pid}/fd"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", help="not looked at: the start is made in the namespace")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=8489)
    parser.add_argument("--transport", action="append", choices=SHARES)
    lib_namespace.enter()
    options = parser.parse_args()
    lib_namespace.World()
    with lib_namespace.development_start() as dev, concurrent.futures.ProcessPoolExecutor(2) as pool:
        relay = Local(dev, 0, {
            "listen_addresses": f'["{lib_namespace.HERE}:{PORT}"]', "tls_listen_addresses": f'["{lib_namespace.HERE}:{TLS_PORT}"]',
            "relay_addresses": f"[{lib_namespace.HERE}]", "allow_loopback_peers": "false",
            # All come from one address, again and again.
            "unauthenticated_answers_per_second": 100_000, "unauthenticated_answers_burst": 100_000})
        relay.host, relay.port, relay.tls_port = lib_namespace.HERE, PORT, TLS_PORT
        process, relay.process = relay.process, None    # what is handed to the workers
        for kind in options.transport or SHARES:
            count = int(options.messages * SHARES[kind]) // 2
            list(pool.map(work, [(relay, kind, options.seed + index, 2000) for index in (2, 3)]))
            before, began = memory(relay.pid), time.monotonic()
            failure = ""
            try:
                list(pool.map(work, [(relay, kind, options.seed + index, count) for index in (0, 1)]))
            except (OSError, RuntimeError, Closed) as error:
                failure = repr(error)
            check(f"{kind}: {2 * count} messages in {time.monotonic() - began:.0f} s, and it answers", not failure, failure)
            check(f"{kind}: the process goes on", process.poll() is None, process.poll())
            after = memory(relay.pid)
            check(f"{kind}: with the memory that it had", after[0] - before[0] <= GROWTH_BYTES, (before, after))
            check(f"{kind}: and new clients are served", relay.answers())
        # Who never got behind the authentication would see 401 and 438 alone.
        codes = {code for code in (400, 403, 420, 437, 443) if relay.metric("skerry_relay_errors_total", code=code) > 0}
        check("they came as far as the policy", len(codes) == 5, codes)
        relay.process = process
        relay.stop()
    finish()


main()
