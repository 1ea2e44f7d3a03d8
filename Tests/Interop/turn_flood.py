#!/usr/bin/env python3
"""Floods by strangers under made-up addresses, in a network namespace of the script's own: the relay's memory stays as it is, its
answers stay small and within the limits, and clients with credentials go on meanwhile.

usage: turn_flood.py [--packets N]

Needs root or user namespaces, and ip (iproute2). Exits non-zero if anything is not right.
"""
import argparse
import collections
import itertools
import os
import pathlib
import random
import struct
import time

import lib_namespace
import lib_relay
from lib_checks import check, finish
from lib_turn import ALLOCATE, BINDING, COOKIE, REFRESH, A, attribute, fingerprint_value, transport

PORT, TLS_PORT = 3478, 5349
# As in the sample of the configuration.
PER_SECOND, BURST = 100, 500
GROWTH_BYTES = 1 << 20
# Of handshakes that do not end: the room that they take is made once, and used again.
HANDSHAKE_GROWTH_BYTES, HANDSHAKE_TIMEOUT_S = 8 << 20, 1
AT_ONCE = 4000

randomness = random.Random(8656)
# The first bytes of the transaction ids of one flood, so that late answers to another are not counted.
floods_made = itertools.count()
mark = b""


def request(method, *attributes, fingerprint=False):
    body = b"".join(attributes)
    transaction = mark + randomness.randbytes(8)
    if fingerprint:
        head = struct.pack(">HHI", method, len(body) + 8, COOKIE) + transaction
        body += attribute(A.FINGERPRINT, struct.pack(">I", fingerprint_value(head + body)))
    return struct.pack(">HHI", method, len(body), COOKIE) + transaction + body


def anywhere4():
    """An address that is neither of this namespace nor one that the kernel itself drops."""
    return bytes([randomness.choice([*range(11, 127), *range(128, 224)])]) + randomness.randbytes(3)


def anywhere6():
    return bytes([0x20 | randomness.randrange(16)]) + randomness.randbytes(15)


class Flood:
    def __init__(self, world, relay, pid):
        self.world, self.relay, self.pid = world, relay, pid

    def memory(self):
        """Bytes that the process has in memory, and its descriptors."""
        pages = int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE"), len(os.listdir(f"/proc/{self.pid}/fd"))

    def send(self, count, source, payload, port=PORT):
        """Sends, and returns the size of every answer, for how long it went on, and whether a client with credentials was served meanwhile."""
        global mark
        mark = struct.pack(">I", next(floods_made))
        answers, began, is_served, left = [], time.monotonic(), True, count
        while left > 0:
            for _ in range(min(left, AT_ONCE)):
                self.world.send(source(), randomness.randrange(1024, 65536), port, payload())
            left -= AT_ONCE
            if left <= count // 2 < left + AT_ONCE:
                is_served = self.relay.answers()
            answers += self.world.answers(0.02)
        answers += self.world.answers(0.3)
        answers = [len(data) for _, data in answers if data[8:12] == mark or handshake_type(data) == 3]
        return answers, time.monotonic() - began, is_served

    def run(self, name, count, source, payload, largest, prefix=False, port=PORT):
        """prefix: whether all is sent from one."""
        self.send(AT_ONCE, source, payload, port)
        before = self.memory()
        answers, seconds, is_served = self.send(count, source, payload, port)
        after = self.memory()
        sizes = collections.Counter(answers)
        check(f"{name}: answers have at most {largest} bytes", answers and max(sizes) <= largest, sizes)
        check(f"{name}: memory is flat", after[0] - before[0] <= GROWTH_BYTES, (before[0], after[0]))
        check(f"{name}: and so are descriptors", after[1] - before[1] <= 8, (before[1], after[1]))
        if prefix:
            (least, most) = (PER_SECOND * seconds / 4, self.loops() * (BURST + PER_SECOND * seconds))
            check(f"{name}: one prefix gets its rate and no more", least <= len(answers) <= most, (least, len(answers), most))
        else:
            check(f"{name}: each has an answer, and no second", 0.9 * count <= len(answers) <= count, (len(answers), count))
        check(f"{name}: who has credentials is served", is_served)

    @staticmethod
    def loops():
        return len(os.sched_getaffinity(0))


def floods(flood, packets, source, near, size):
    version = {4: "IPv4", 16: "IPv6"}[size]
    flood.run(f"{version} Binding", packets, source, lambda: request(BINDING), 44 if size == 4 else 64)
    flood.run(f"{version} Allocate", packets, source, lambda: request(ALLOCATE, transport()), 128)
    flood.run(f"{version} Allocate with FINGERPRINT", packets // 4, source, lambda: request(ALLOCATE, transport(), fingerprint=True), 128)
    flood.run(f"{version} Allocate with credentials made up", packets // 4, source, made_up, 128)
    flood.run(f"{version} Refresh", packets // 4, source, lambda: request(REFRESH), 128)
    flood.run(f"{version} Allocate from one prefix", packets, near, lambda: request(ALLOCATE, transport()), 128, prefix=True)


def made_up():
    """What looks authenticated, with a nonce that was never given."""
    user = f"{randomness.randrange(1 << 32)}:default:user-{randomness.randrange(1 << 30)}".encode()
    return request(
        ALLOCATE, transport(), attribute(A.USERNAME, user), attribute(A.REALM, b"skerry"), attribute(A.NONCE, randomness.randbytes(32)),
        attribute(A.MESSAGE_INTEGRITY, randomness.randbytes(20)))


# Of a hello of OpenSSL's, behind its session id and cookie.
SUITES_AND_EXTENSIONS = bytes.fromhex(
    "0038c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff0100"
    "0052000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d002a0028040305030603080708080809080a080b"
    "080408050806040105010601030303010302040205020602")


def hello(cookie=b"", number=0, nonce=None):
    """A ClientHello of DTLS 1.2 (RFC 6347 section 4.2.1)."""
    body = b"\xfe\xfd" + (nonce or randomness.randbytes(32)) + b"\0" + bytes([len(cookie)]) + cookie + SUITES_AND_EXTENSIONS
    count = len(body).to_bytes(3, "big")
    body = b"\x01" + count + struct.pack(">H", number) + bytes(3) + count + body
    return b"\x16\xfe\xff" + struct.pack(">QH", number, len(body)) + body


def handshake_type(data):
    return data[13] if len(data) > 13 and data[0] == 22 else None


class Handshakes:
    """Handshakes that clients begin, with a good cookie, and do not go on with."""

    def __init__(self, flood):
        self.flood, self.world = flood, flood.world

    def begin(self, count, source):
        """Returns how many were begun, and for how long it went on."""
        begun, began = set(), time.monotonic()
        for _ in range(0, count, 250):
            nonces = {source(): randomness.randbytes(32) for _ in range(250)}
            for address, nonce in nonces.items():
                self.world.send(address, 5000, TLS_PORT, hello(nonce=nonce))
            for address, data in self.world.answers(0.05):
                if handshake_type(data) == 3 and address in nonces:
                    cookie = data[28:28 + data[27]]
                    self.world.send(address, 5000, TLS_PORT, hello(cookie, 1, nonces[address]))
            begun.update(address for address, data in self.world.answers(0.05) if handshake_type(data) == 2)
        return len(begun), time.monotonic() - began

    def run(self, count):
        for _ in range(2):
            self.begin(count, anywhere4)
            time.sleep(HANDSHAKE_TIMEOUT_S + 1)
        before = self.flood.memory()
        begun, _ = self.begin(count, anywhere4)
        time.sleep(HANDSHAKE_TIMEOUT_S + 1)
        after = self.flood.memory()
        check("DTLS handshakes: strangers may begin them", begun >= count // 2, begun)
        check("DTLS handshakes: memory is flat", after[0] - before[0] <= HANDSHAKE_GROWTH_BYTES, (before[0], after[0]))
        check("DTLS handshakes: and so are descriptors", after[1] - before[1] <= 8, (before[1], after[1]))
        begun, seconds = self.begin(count, lambda: bytes([9, 9, 10, randomness.randrange(256)]))
        most = self.flood.loops() * (BURST + PER_SECOND * seconds)
        check("DTLS handshakes: one prefix gets its rate and no more", 0 < begun <= most, (begun, most))
        time.sleep(HANDSHAKE_TIMEOUT_S + 1)
        try:
            with self.flood.relay.client("dtls", name="probe") as client:
                code = client.allocate().code
        except OSError as error:
            code = error
        check("DTLS handshakes: and then others are served", code == 0, code)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", help="not looked at: the start is made in the namespace")
    parser.add_argument("--packets", type=int, default=40_000, help="of the large floods (default 40,000)")
    lib_namespace.enter()
    options = parser.parse_args()
    world = lib_namespace.World()
    with lib_namespace.development_start() as dev:
        for host, source, near, size in (
                (lib_namespace.HERE, anywhere4, lambda: bytes([9, 9, 9, randomness.randrange(256)]), 4),
                (lib_namespace.HERE6, anywhere6, lambda: bytes.fromhex("2a00145000000000"[:14]) + randomness.randbytes(9), 16)):
            address = f"[{host}]" if size == 16 else host
            relay = lib_relay.Edge(dev, 0, {
                "listen_addresses": f'["{address}:{PORT}"]', "tls_listen_addresses": f'["{address}:{TLS_PORT}"]',
                "relay_addresses": f"[{lib_namespace.HERE}]", "handshake_timeout_ms": HANDSHAKE_TIMEOUT_S * 1000})
            relay.host, relay.port, relay.tls_port = host, PORT, TLS_PORT
            flood = Flood(world, relay, relay.pid)
            floods(flood, options.packets, source, near, size)
            if size == 4:
                flood.run("DTLS hello", options.packets, source, hello, len(hello()) // 2, port=TLS_PORT)
                Handshakes(flood).run(3000)
            relay.stop()
    finish()


main()
