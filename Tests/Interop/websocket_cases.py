#!/usr/bin/env python3
"""What the Autobahn test suite asks of a WebSocket server (RFC 6455), by behaviour, from one raw connection per case.

    websocket_cases.py [--dev IGNORED] [NAME-PREFIX …]

A case is what the client sends, in pieces, and all that the server may answer. wsproto takes the answers apart, so that a server's
mistakes in framing fail a case too; what it refuses to send is put together by hand. Numbers of cases begin with those of
Autobahn's groups: 1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 9 limits, 10 fragments
of the client's library; group 20 are bounds of this server, and group 21 opening handshakes.
"""
import argparse
import base64
import os
import socket
import struct
import time

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import RemoteProtocolError

from lib_checks import check, finish
from lib_echo import echo_server

TIMEOUT_S = 10
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
TOO_LARGE = 4413
PAUSE = object()  # in a case's pieces: long enough for the server to look at what came before


def mask(payload):
    key = os.urandom(4)
    repeated = (key * (len(payload) // 4 + 1))[:len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return key + masked.to_bytes(len(payload), "big")


def frame(opcode, payload=b"", final=True, reserved=0, masked=True, length=None, length_bytes=None):
    """One frame, right or wrong. `length` says another length than the payload has, `length_bytes` in how many bytes."""
    payload = payload.encode() if isinstance(payload, str) else payload
    length = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 65536 else 8
    short = {0: length, 2: 126, 8: 127}[length_bytes]
    header = struct.pack("!BB", (0x80 if final else 0) | reserved << 4 | opcode, (0x80 if masked else 0) | short)
    header += length.to_bytes(length_bytes, "big") if length_bytes else b""
    return header + (mask(payload) if masked else payload)


def text(payload, **more):
    return frame(TEXT, payload, **more)


def more(payload=b"", final=False):
    return frame(0, payload, final=final)


def begin(payload=b"", opcode=TEXT):
    return frame(opcode, payload, final=False)


def close(code=None, reason=b""):
    reason = reason.encode() if isinstance(reason, str) else reason
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def chopped(data, size=1):
    return [data[index:index + size] for index in range(0, len(data), size)]


class Client:
    """One connection behind its handshake; `next` gives what the server sent, put together."""

    def __init__(self, port, path="/echo", receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(65536)
            if not piece:
                raise RuntimeError(f"the handshake ends with {head}")
            head += piece
        head, rest = head.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise RuntimeError(f"the handshake is refused: {head}")
        self.protocol = Connection(ConnectionType.CLIENT)
        if rest:
            self.protocol.receive_data(rest)
        self.partial = []

    def send(self, pieces):
        for piece in pieces:
            if piece is PAUSE:
                time.sleep(0.05)
                continue
            try:
                self.socket.sendall(piece)
            except OSError:
                return  # the server has closed; what it said before is still there to be read

    def next(self):
        """("text" | "binary" | "ping" | "pong", payload), ("close", code, reason) or ("end",)."""
        while True:
            for event in self.protocol.events():
                match event:
                    case TextMessage() | BytesMessage():
                        self.partial.append(event.data)
                        if event.message_finished:
                            data, self.partial = self.partial, []
                            if isinstance(event, TextMessage):
                                return "text", "".join(data)
                            return "binary", b"".join(map(bytes, data))
                    case Ping():
                        return "ping", bytes(event.payload)
                    case Pong():
                        return "pong", bytes(event.payload)
                    case CloseConnection():
                        return "close", int(event.code), event.reason or ""
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                return ("nothing",)
            except ConnectionError:
                return ("reset",)
            if not piece:
                return ("end",)
            try:
                self.protocol.receive_data(piece)
            except RemoteProtocolError as error:
                return "malformed", str(error)

    def ends(self):
        """Answers the server's close frame, if it has sent one first; true when the connection ends then without more."""
        if self.protocol.state is ConnectionState.REMOTE_CLOSING:
            self.send([close(1000)])
        return self.next() == ("end",)


cases = []


def case(name, pieces, *answers, path="/echo"):
    """`answers` are all that may come; a number stands for a close frame. Where none is a close, the client closes behind them."""
    cases.append((name, pieces, answers, path))


def run(port, name, pieces, answers, path):
    client = Client(port, path)
    try:
        pieces = [pieces] if isinstance(pieces, bytes) else list(pieces)
        answers = list(answers)
        if not any(isinstance(answer, int) for answer in answers):
            client.send(pieces)
            got = [client.next() for _ in answers]
            client.send([close(1000)])
            good = got == answers and client.next()[:2] == ("close", 1000) and client.ends()
            return check(name, good, f"expected {show(answers)}, got {show(got)}")
        client.send(pieces)
        got = [client.next() for _ in answers]
        wanted = [("close", answer) if isinstance(answer, int) else answer for answer in answers]
        good = [item[:2] for item in got] == wanted and client.ends()
        check(name, good, f"expected {show(wanted)}, got {show(got)}")
    finally:
        client.socket.close()


def show(items):
    return [tuple(part if len(part) < 40 else part[:40] + type(part)() for part in item if isinstance(part, (str, bytes)))
            or item for item in items if isinstance(item, tuple)]


# --- 1 Framing: every way of writing a length

for kind, opcode, group in (("text", TEXT, "1.1"), ("binary", BINARY, "1.2")):
    for index, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
        payload = b"*" * size if opcode == TEXT else bytes(range(256)) * (size // 256) + b"\xfe" * (size % 256)
        case(f"{group}.{index} {kind} of {size} bytes", frame(opcode, payload),
             (kind, payload.decode() if opcode == TEXT else payload))
    payload = b"*" * 65536
    case(f"{group}.8 {kind} of 65536 bytes in writes of 997", chopped(frame(opcode, payload), 997),
         (kind, payload.decode() if opcode == TEXT else payload))
case("1.3.1 a length of 125 in two bytes", text("a" * 125, length_bytes=2), 1002)
case("1.3.2 a length of 65535 in eight bytes", text("a" * 65535, length_bytes=8), 1002)
case("1.3.3 a length of 0 in eight bytes", frame(BINARY, length_bytes=8), 1002)
case("1.3.4 a length with the highest bit", frame(BINARY, length=1 << 63, length_bytes=8), 1002)
case("1.3.5 a frame without a mask", text("hello", masked=False), 1002)
case("1.3.6 a ping without a mask", frame(PING, masked=False), 1002)

# --- 2 Pings and pongs

case("2.1 a ping without payload", frame(PING), ("pong", b""))
case("2.2 a ping with text", frame(PING, "Hello, world!"), ("pong", b"Hello, world!"))
case("2.3 a ping with what is no UTF-8", frame(PING, bytes([0, 255, 254, 253, 0, 255])), ("pong", bytes([0, 255, 254, 253, 0, 255])))
case("2.4 a ping of 125 bytes", frame(PING, b"\xfe" * 125), ("pong", b"\xfe" * 125))
case("2.5 a ping of 126 bytes", frame(PING, b"\xfe" * 126), 1002)
case("2.6 a ping of 125 bytes, byte by byte", chopped(frame(PING, b"\xfe" * 125)), ("pong", b"\xfe" * 125))
case("2.7 a pong that nobody asked for", [frame(PONG), text("next")], ("text", "next"))
case("2.8 … with payload", [frame(PONG, "unsolicited"), text("next")], ("text", "next"))
case("2.9 … and a ping behind it", [frame(PONG, "unsolicited"), frame(PING, "asked")], ("pong", b"asked"))
case("2.10 ten pings", b"".join(frame(PING, f"payload-{n}") for n in range(10)),
     *[("pong", f"payload-{n}".encode()) for n in range(10)])
case("2.11 ten pings, byte by byte", chopped(b"".join(frame(PING, f"payload-{n}") for n in range(10))),
     *[("pong", f"payload-{n}".encode()) for n in range(10)])
case("2.12 pings between messages keep their place", [text("a"), frame(PING, "1"), text("b"), frame(PING, "2")],
     ("text", "a"), ("pong", b"1"), ("text", "b"), ("pong", b"2"))

# --- 3 Reserved bits

case("3.1 reserved bit 3 in a text frame", text("", reserved=1), 1002)
case("3.2 reserved bit 2 behind a message", [text("first"), text("second", reserved=2), frame(PING)], ("text", "first"), 1002)
case("3.3 … in one write", text("first") + text("second", reserved=3) + frame(PING), ("text", "first"), 1002)
case("3.4 … byte by byte", chopped(text("first") + text("second", reserved=4) + frame(PING)), ("text", "first"), 1002)
case("3.5 reserved bits in a binary frame", frame(BINARY, b"\0" * 8, reserved=5), 1002)
case("3.6 reserved bits in a ping", frame(PING, reserved=6), 1002)
case("3.7 reserved bits in a close frame", frame(CLOSE, reserved=7), 1002)

# --- 4 Opcodes

for opcode in (3, 4, 5, 6, 7):
    case(f"4.1.{opcode - 2} opcode {opcode} behind a message", [text("hello"), frame(opcode, "x" * (opcode - 3)), frame(PING)],
         ("text", "hello"), 1002)
for opcode in (11, 12, 13, 14, 15):
    case(f"4.2.{opcode - 10} opcode {opcode} behind a message", text("hello") + frame(opcode, "x" * (opcode - 11)) + frame(PING),
         ("text", "hello"), 1002)

# --- 5 Fragmentation

case("5.1 a ping in two fragments", [frame(PING, "fragment1", final=False), more("fragment2", final=True)], 1002)
case("5.2 a pong in two fragments", [frame(PONG, "fragment1", final=False), more("fragment2", final=True)], 1002)
two = [begin("fragment1"), more("fragment2", final=True)]
case("5.3 a text in two fragments", two, ("text", "fragment1fragment2"))
case("5.4 … in one write", b"".join(two), ("text", "fragment1fragment2"))
case("5.5 … byte by byte", chopped(b"".join(two)), ("text", "fragment1fragment2"))
between = [begin("fragment1"), frame(PING, "ping"), more("fragment2", final=True)]
answer = [("pong", b"ping"), ("text", "fragment1fragment2")]
case("5.6 a ping between two fragments", between, *answer)
case("5.7 … in one write", b"".join(between), *answer)
case("5.8 … byte by byte", chopped(b"".join(between)), *answer)
case("5.9 a last fragment of nothing", more("non-continuation", final=True) + text("hello"), 1002)
case("5.10 … in two writes", [more("non-continuation", final=True), text("hello")], 1002)
case("5.11 … byte by byte", chopped(more("non-continuation", final=True) + text("hello")), 1002)
case("5.12 a fragment of nothing", more("non-continuation") + text("hello"), 1002)
case("5.13 … in two writes", [more("non-continuation"), text("hello")], 1002)
case("5.14 … byte by byte", chopped(more("non-continuation") + text("hello")), 1002)
case("5.15 a fragment behind the last one", two + [more("fragment3"), text("fragment4")], ("text", "fragment1fragment2"), 1002)
case("5.16 a fragment before a text in fragments", [more("fragment1"), begin("fragment2"), more("fragment3", final=True)] * 2, 1002)
case("5.17 a last fragment before a text in fragments",
     [more("fragment1", final=True), begin("fragment2"), more("fragment3", final=True)] * 2, 1002)
case("5.18 a text within a text", [begin("fragment1"), text("fragment2")], 1002)
case("5.19 five fragments with pings between",
     [begin("fragment1"), more("fragment2"), frame(PING, "one"), PAUSE, more("fragment3"), more("fragment4"), frame(PING, "two"),
      more("fragment5", final=True)],
     ("pong", b"one"), ("pong", b"two"), ("text", "fragment1fragment2fragment3fragment4fragment5"))
case("5.20 a binary within a text", [begin("fragment1"), frame(BINARY, "fragment2")], 1002)
case("5.21 a binary in fragments", [begin(b"\xff", BINARY), more(b"\xfe"), more(b"\xfd", final=True)], ("binary", b"\xff\xfe\xfd"))

# --- 6 UTF-8

CHARACTERS = "Hello-µ@ßöäüàá-UTF-8!!"
case("6.1.1 an empty text", text(""), ("text", ""))
case("6.1.2 an empty text in three fragments", [begin(), more(), more(final=True)], ("text", ""))
case("6.1.3 empty fragments around one that is not", [begin(), more("middle"), more(final=True)], ("text", "middle"))
case("6.2.1 characters of several bytes", text(CHARACTERS), ("text", CHARACTERS))
case("6.2.2 … in two fragments", [begin("Hello-µ@ßöä"), more("üàá-UTF-8!!", final=True)], ("text", CHARACTERS))
encoded = CHARACTERS.encode()
case("6.2.3 … a fragment for each byte",
     [begin(encoded[:1]), *[more(encoded[n:n + 1]) for n in range(1, len(encoded) - 1)], more(encoded[-1:], final=True)],
     ("text", CHARACTERS))
case("6.2.4 κόσμε, byte by byte", chopped(text("κόσμε")), ("text", "κόσμε"))
BROKEN = "κόσμε".encode() + b"\xed\xa0\x80" + b"edited"
case("6.3.1 a surrogate within a text", text(BROKEN), 1007)
case("6.3.2 … a fragment for each byte", [begin(BROKEN[:1]), *[more(BROKEN[n:n + 1]) for n in range(1, len(BROKEN))]], 1007)
# The rest is never sent: the server must not wait for it.
good = "κόσμε".encode()
case("6.4.1 a bad first fragment fails at once", [begin(good + b"\xf4\x90\x80\x80")], 1007)
case("6.4.2 … at the first byte that cannot be", [begin(good + b"\xf4\x90")], 1007)
unfinished = text(good + b"\xf4\x90\x80\x80" + b"edited")
case("6.4.3 a bad byte within a frame whose end is not sent", [unfinished[:6 + len(good) + 2]], 1007)
case("6.4.4 … the byte by itself", [unfinished[:6 + len(good) + 1], PAUSE, unfinished[6 + len(good) + 1:6 + len(good) + 2]], 1007)
case("6.4.5 a bad byte behind a fragment that ends within a character", [begin(good + b"\xe2\x82"), PAUSE, more(b"\x41")], 1007)
case("6.4.6 a bad byte behind eight good ones in a long frame", [frame(TEXT, b"abcdefgh\xff", length=60000)], 1007)

VALID = [
    ("6.5.1", "κόσμε"), ("6.6.1", "\x00"), ("6.6.2", "\u0080"), ("6.6.3", "\u0800"), ("6.6.4", "\U00010000"),
    ("6.7.1", "\x7f"), ("6.7.2", "\u07ff"), ("6.7.3", "\uffff"), ("6.7.4", "\U0010ffff"), ("6.9.1", "\ud7ff"),
    ("6.9.2", "\ue000"), ("6.9.3", "\ufffd"), ("6.9.4", "\ufffe"), ("6.22.1", "\U0001fffe"), ("6.22.2", "\U0003ffff"),
    ("6.22.3", "\U0008fffe"), ("6.22.4", "\U000fffff"), ("6.22.5", "\ufeff"),
]
for number, value in VALID:
    case(f"{number} {value.encode().hex()} is text", text(value), ("text", value))
INVALID = [
    ("6.8.1", "f888808080"), ("6.8.2", "fc8480808080"), ("6.10.1", "f7bfbfbf"), ("6.10.2", "fbbfbfbfbf"),
    ("6.11.1", "f4908080"), ("6.12.1", "80"), ("6.12.2", "bf"), ("6.12.3", "80bf"), ("6.12.8", "80bf80bf80bf"),
    ("6.13.1", "c020c120c220"), ("6.13.2", "e020e120e220"), ("6.13.3", "f020f120f220"), ("6.13.4", "f820f920fa20"),
    ("6.14.1", "c0"), ("6.14.2", "e080"), ("6.14.3", "f08080"), ("6.14.5", "df"), ("6.14.6", "efbf"), ("6.14.7", "f7bfbf"),
    ("6.14.10", "f48fbf"), ("6.15.1", "c0e080f08080"), ("6.16.1", "fe"), ("6.16.2", "ff"), ("6.16.3", "fefeffff"),
    ("6.17.1", "c0af"), ("6.17.2", "e080af"), ("6.17.3", "f08080af"), ("6.18.1", "c1bf"), ("6.18.2", "e09fbf"),
    ("6.18.3", "f08fbfbf"), ("6.19.1", "c080"), ("6.19.2", "e08080"), ("6.19.3", "f0808080"), ("6.20.1", "eda080"),
    ("6.20.2", "edadbf"), ("6.20.3", "edae80"), ("6.20.4", "edafbf"), ("6.20.5", "edb080"), ("6.20.7", "edbfbf"),
    ("6.21.1", "eda080edb080"), ("6.21.8", "edafbfedbfbf"),
]
for number, value in INVALID:
    case(f"{number} {value} is no text", text(bytes.fromhex(value)), 1007)
    case(f"{number}c … nor byte by byte behind a letter", chopped(text(b"a" + bytes.fromhex(value))), 1007)

# --- 7 Closing

case("7.1.1 a message, then close", [text("Hello"), close(1000)], ("text", "Hello"), 1000)
case("7.1.2 two close frames", close(1000) + close(1000), 1000)
case("7.1.3 a ping behind the close", close(1000) + frame(PING), 1000)
case("7.1.4 a text behind the close", close(1000) + text("late"), 1000)
case("7.1.5 close between fragments", begin("fragment1") + close(1000) + more("fragment2", final=True), 1000)
case("7.1.6 256 KiB, then close, then a ping", text("BAsd7&jh23" * 26214) + text("Hello") + close(1000) + frame(PING),
     ("text", "BAsd7&jh23" * 26214), ("text", "Hello"), 1000)
case("7.1.7 garbage behind the close", close(1000) + os.urandom(100), 1000)
case("7.3.1 close without payload", close(), 1005)
case("7.3.2 close with one byte", frame(CLOSE, b"a"), 1002)
case("7.3.3 close with a code", close(1000), 1000)
case("7.3.4 close with a reason", close(1000, "Hello, world!"), 1000)
case("7.3.5 close with 123 bytes of reason", close(1000, "*" * 123), 1000)
case("7.3.6 close with 124 bytes of reason", close(1000, "*" * 124), 1002)
case("7.5.1 a reason that is no UTF-8", close(1000, BROKEN), 1007)
case("7.5.2 a reason that ends within a character", close(1000, b"\xe2\x82"), 1007)
for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999):  # wsproto has no 1014
    case(f"7.7 close with {code}", close(code), code)
for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32768, 65535):
    case(f"7.9 close with {code}", close(code), 1002)

# --- 9 Limits and speed

for index, size in enumerate((64, 256, 1024, 4096), 1):
    data = "abcdefgh" * (size * 128)
    case(f"9.1.{index} a text of {size} KiB", text(data), ("text", data))
    data = bytes(range(256)) * (size * 4)
    case(f"9.2.{index} a binary of {size} KiB", frame(BINARY, data), ("binary", data))
data = os.urandom(1 << 20)
for index, size in enumerate((64, 1024, 65536), 1):
    pieces = chopped(data, size)
    case(f"9.4.{index} 1 MiB in fragments of {size}",
         b"".join([begin(pieces[0], BINARY), *[more(piece) for piece in pieces[1:-1]], more(pieces[-1], final=True)]),
         ("binary", data))
for index, size in enumerate((64, 1024), 1):
    value = "ä€" * 26214
    case(f"9.5.{index} 128 KiB of text in writes of {size}", chopped(text(value), size), ("text", value))
for index, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
    case(f"9.7.{index} 500 texts of {size} bytes at once", b"".join([text("x" * size)] * 500), *[("text", "x" * size)] * 500)
    case(f"9.8.{index} 500 binaries of {size} bytes at once", b"".join([frame(BINARY, b"y" * size)] * 500),
         *[("binary", b"y" * size)] * 500)

# --- 10 Fragments of a client's library

case("10.1.1 64 KiB in fragments of 1300 bytes",
     [begin("*" * 1300), *[more("*" * 1300)] * 49, more("*" * 536, final=True)], ("text", "*" * 65536))

# --- 20 Bounds of this server

SMALL = "/echo?max=1000"
case("20.1 a message as large as may be", frame(BINARY, b"x" * 1000), ("binary", b"x" * 1000), path=SMALL)
case("20.2 a length above the limit, known before the payload", frame(BINARY, length=1001), TOO_LARGE, path=SMALL)
case("20.3 the largest length there is", frame(BINARY, length=(1 << 63) - 1), TOO_LARGE, path=SMALL)
case("20.4 fragments above the limit together", [begin(b"x" * 600, BINARY), frame(0, length=401)], TOO_LARGE, path=SMALL)
case("20.5 a ping among fragments does not count", [begin(b"x" * 600, BINARY), frame(PING, b"p" * 125), more(b"x" * 400, final=True)],
     ("pong", b"p" * 125), ("binary", b"x" * 1000), path=SMALL)
case("20.6 empty fragments without end", begin() + more() * 20000, 1008)
case("20.7 a few empty fragments", begin() + more() * 100 + more("end", final=True), ("text", "end"))


def handshake(port, name, expected, *lines, request="GET /echo HTTP/1.1", body=b"", has=None):
    """What the server answers to an opening handshake; `has` is a field that the answer must have."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        connection.sendall("\r\n".join([request, *lines, "", ""]).encode() + body)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                break
            head += piece
        head = head.split(b"\r\n\r\n")[0].decode()
        status = int(head.split(" ")[1]) if head else None
        fields = [line.lower() for line in head.split("\r\n")[1:]]
        check(name, status == expected and (has is None or has.lower() in fields), head)


def handshakes(port):
    host, upgrade, connection = "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"
    version, key = "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    right = [host, upgrade, connection, version, key]

    def without(line, *instead):
        return [one for one in right if one != line] + list(instead)

    accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    handshake(port, "21.1 the handshake of the standard", 101, *right, has=accept)
    handshake(port, "21.2 tokens in other cases, among others", 101,
              host, "UPGRADE: h2c, WebSocket", "connection: keep-alive, UPGRADE", version, key, has=accept)
    handshake(port, "21.3 an extension is not agreed to", 101, *right, "Sec-WebSocket-Extensions: permessage-deflate", has=accept)
    handshake(port, "21.4 a subprotocol is answered", 101, *right, "Sec-WebSocket-Protocol: one, two",
              has="Sec-WebSocket-Protocol: one")
    handshake(port, "21.5 version 8", 426, *without(version, "Sec-WebSocket-Version: 8"), has=version)
    handshake(port, "21.6 no version", 426, *without(version), has=version)
    handshake(port, "21.7 two versions", 426, *without(version, "Sec-WebSocket-Version: 8, 13"), has=version)
    handshake(port, "21.8 version 013", 426, *without(version, "Sec-WebSocket-Version: 013"), has=version)
    handshake(port, "21.9 no key", 400, *without(key))
    handshake(port, "21.10 a key of 15 bytes", 400, *without(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"))
    handshake(port, "21.11 a key of 17 bytes", 400, *without(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQB="))
    handshake(port, "21.12 a key with foreign characters", 400, *without(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!=="))
    handshake(port, "21.13 a key with set bits behind its end", 400, *without(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR=="))
    handshake(port, "21.14 two keys", 400, *right, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
    handshake(port, "21.15 no Upgrade", 426, *without(upgrade), has="Upgrade: websocket")
    handshake(port, "21.16 another Upgrade", 426, *without(upgrade, "Upgrade: websocketx"), has="Upgrade: websocket")
    handshake(port, "21.17 no Connection", 426, *without(connection), has="Upgrade: websocket")
    handshake(port, "21.18 Connection without the token", 426, *without(connection, "Connection: keep-alive"))
    handshake(port, "21.19 HTTP/1.0", 426, *right, request="GET /echo HTTP/1.0")
    handshake(port, "21.20 another method", 405, *right, request="PUT /echo HTTP/1.1")
    handshake(port, "21.21 HEAD", 426, *right, request="HEAD /echo HTTP/1.1")
    handshake(port, "21.22 a body", 400, *right, "Content-Length: 5", body=b"hello")
    handshake(port, "21.23 no Host", 400, *without(host))
    # The first frame may come along with the handshake.
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as early:
        early.sendall("\r\n".join(["GET /echo HTTP/1.1", *right, "", ""]).encode() + text("early"))
        received = b""
        while not received.endswith(b"\x81\x05early"):
            piece = early.recv(65536)
            if not piece:
                break
            received += piece
        check("21.24 a message right behind the handshake", received.endswith(b"\r\n\r\n\x81\x05early"), received)


def floods(port):
    """Peers that send without reading: what waits for them is bounded."""
    client = Client(port, receive_buffer=4096)
    try:
        client.socket.settimeout(1)
        sent = 0
        pings = b"".join(frame(PING, b"%0125d" % number) for number in range(1000))
        try:
            while sent < 400:
                client.socket.sendall(pings)
                sent += 1
        except TimeoutError:
            pass
        # The server goes on taking pings although no pong is read: only the last one has to be answered.
        check("20.8 400,000 pings from a peer that does not read are taken", sent == 400, f"{sent} thousand")
        client.socket.settimeout(TIMEOUT_S)
        client.send([text("after")])
        pongs = 0
        last = None
        while (event := client.next())[0] == "pong":
            pongs += 1
            last = event[1]
        check("20.9 … fewer pongs than pings come back, the last one among them, and the message behind them",
              event == ("text", "after") and last == b"%0125d" % 999 and pongs < 400_000, (event, last, pongs))
        client.send([close(1000)])
        check("20.10 … and the connection lives on to its close", client.next()[:2] == ("close", 1000))
    finally:
        client.socket.close()
    client = Client(port, "/burst?count=100000&bytes=10000", receive_buffer=4096)
    try:
        time.sleep(0.3)
        while (event := client.next())[0] == "binary":
            pass
        check("20.11 one that does not read what it is sent is closed with 4408", event[:2] == ("close", 4408), event)
    finally:
        client.socket.close()


def liveness():
    with echo_server("--ping-interval-ms", 200, "--pong-timeout-ms", 600, "--close-timeout-ms", 500) as port:
        client = Client(port)
        check("20.12 a silent peer is pinged", client.next() == ("ping", b""))
        client.send([frame(PONG)])
        check("20.13 one that answers stays, and is pinged again", client.next() == ("ping", b""))
        began = time.monotonic()
        check("20.14 one that does not is given up", client.next() in (("end",), ("reset",)) and time.monotonic() - began < 5)
        client.socket.close()
        client = Client(port)
        client.send([frame(PING, reserved=1)])
        event = client.next()
        began = time.monotonic()
        check("20.15 a close frame without an answer is not waited for for ever",
              event[:2] == ("close", 1002) and client.next() in (("end",), ("reset",)) and time.monotonic() - began < 5, event)
        client.socket.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev")
    parser.add_argument("prefix", nargs="*")
    prefixes = tuple(parser.parse_args().prefix)
    with echo_server() as port:
        for name, *rest in cases:
            if name.startswith(prefixes or ""):
                run(port, name, *rest)
        if not prefixes or "21" in prefixes:
            handshakes(port)
        if not prefixes or "20" in prefixes:
            floods(port)
    if not prefixes or "20" in prefixes:
        liveness()
    finish()


main()
