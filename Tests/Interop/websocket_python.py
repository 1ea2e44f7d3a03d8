#!/usr/bin/env python3
"""Python's websockets and aiohttp, as clients of the echo server, and bad frames at a connection service's own endpoint.

    websocket_python.py --dev var/dev.json
"""
import argparse
import asyncio
import base64
import json
import os
import socket
import struct
import urllib.parse

import aiohttp
import websockets
from websockets.asyncio.client import connect

from lib_checks import check, finish
from lib_echo import echo_server

SIZES = (0, 1, 125, 126, 65535, 65536, 1 << 20)
TIMEOUT_S = 10


async def with_websockets(port):
    async with connect(f"ws://127.0.0.1:{port}/echo", max_size=None) as client:
        check("websockets: no extension is agreed to", not client.protocol.extensions, client.protocol.extensions)
        good = True
        for size in SIZES:
            payload = os.urandom(size)
            await client.send(payload)
            good &= await client.recv() == payload
            text = "ä€𝄞x" * (size // 10)
            await client.send(text)
            good &= await client.recv() == text
        check("websockets: texts and binaries to 1 MiB", good)
        await client.send(["in ", "frag", "", "ments"])
        check("websockets: a text in fragments", await client.recv() == "in fragments")
        check("websockets: a ping", await (await client.ping(b"payload")) >= 0)
        await client.close(4000, "bye")
        check("websockets: closing", (client.close_code, client.close_reason) == (4000, "bye"), client.close_code)
    async with connect(f"ws://127.0.0.1:{port}/burst?count=100&bytes=10000") as client:
        received = [message async for message in client]
        check("websockets: what was sent before the close arrives", len(received) == 100 and client.close_code == 1000, len(received))


async def with_aiohttp(port):
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"http://127.0.0.1:{port}/echo", max_msg_size=0, compress=15) as client:
            check("aiohttp: deflate is offered and not agreed to", not client.compress, client.compress)
            good = True
            for size in SIZES:
                payload = os.urandom(size)
                await client.send_bytes(payload)
                good &= await client.receive_bytes() == payload
                text = "ä€𝄞x" * (size // 10)
                await client.send_str(text)
                good &= await client.receive_str() == text
            check("aiohttp: texts and binaries to 1 MiB", good)
            await client.close(code=4001, message=b"bye")
            check("aiohttp: closing", client.close_code == 4001, client.close_code)
        async with session.ws_connect(f"http://127.0.0.1:{port}/echo?max=1000") as client:
            await client.send_bytes(b"x" * 1001)
            message = await client.receive()
            check("aiohttp: a message above the limit", message.type is aiohttp.WSMsgType.CLOSE and message.data == 4413, message)


def masked(opcode, payload, first=0x80, length=None):
    length = len(payload) if length is None else length
    short = struct.pack("!B", 0x80 | length) if length < 126 else struct.pack("!BQ", 0xFF, length)
    return struct.pack("!B", first | opcode) + short + bytes(4) + payload


def close_code(edge, token, frames):
    """Opens the product's own endpoint, sends frames, and gives the code of the close frame that answers them."""
    host = urllib.parse.urlsplit(edge["http"])
    with socket.create_connection((host.hostname, host.port), TIMEOUT_S) as connection:
        connection.sendall(
            f"GET /connect HTTP/1.1\r\nHost: {host.netloc}\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: skerry.v1.json\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(4096) or b"\r\n\r\n"
        connection.sendall(frames)
        connection.shutdown(socket.SHUT_WR)
        frame = received.split(b"\r\n\r\n", 1)[1]
        while piece := connection.recv(4096):
            frame += piece
        while len(frame) >= 2 and frame[0] != 0x88:
            frame = frame[2 + frame[1]:]
        return struct.unpack("!H", frame[2:4])[0] if len(frame) >= 4 else None


def at_the_service(dev):
    edge, token = dev["edges"][0], dev["tokens"]["alice"]
    for name, frames, code in [
        ("a reserved bit", masked(1, b"{}", first=0xC0), 1002),
        ("an unknown opcode", masked(3, b""), 1002),
        ("a frame without a mask", b"\x81\x02{}", 1002),
        ("a fragmented ping", masked(9, b"", first=0), 1002),
        ("a continuation of nothing", masked(0, b"x"), 1002),
        ("no UTF-8", masked(1, b"\xff"), 1007),
        ("a length above the limit, without its payload", masked(1, b"", length=1 << 30), 4413),
        ("a bad close code", masked(8, struct.pack("!H", 1005)), 1002),
        ("a close frame", masked(8, struct.pack("!H", 1000)), 1000),
        ("no JSON", masked(1, b"hello"), 4400),
        ("a binary message", masked(2, b"{}"), 4400),
    ]:
        got = close_code(edge, token, frames)
        check(f"the service answers {name} with {code}", got == code, got)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", default="var/dev.json")
    arguments = parser.parse_args()
    with echo_server() as port:
        async with asyncio.timeout(60):
            await with_websockets(port)
            await with_aiohttp(port)
    with open(arguments.dev) as file:
        at_the_service(json.load(file))
    finish()


asyncio.run(main())
