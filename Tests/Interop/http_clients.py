#!/usr/bin/env python3
"""curl and aiohttp as clients of HTTP/1.1: connections kept and counted, chunks, 100-continue, ranges, HEAD, trailers, deadlines.

usage: http_clients.py [--dev var/dev.json]

At the echo server; with --dev also at an edge's media.
"""
import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import tempfile

import aiohttp

from lib_checks import check, finish
from lib_echo import echo_server
from lib_raw import Connection, parse_answers


def curl(*arguments, data=None):
    """curl's output, status and log of the exchange."""
    run = subprocess.run(["curl", "-sS", "-v", "-m", "30", *arguments], input=data, capture_output=True)
    return run.stdout, run.returncode, run.stderr.decode(errors="replace")


def with_curl(port):
    url = f"http://127.0.0.1:{port}"
    out, status, log = curl(*[f"{url}/bytes/{size}" for size in (1, 10, 100, 1000, 0, 5)])
    check("curl: six requests on one connection", status == 0 and len(out) == 1116 and log.count("Connected to") == 1
          and log.count("Re-using existing") == 5, log[-500:])
    out, status, log = curl("--http1.0", f"{url}/bytes/10", f"{url}/bytes/10")
    check("curl: HTTP/1.0", status == 0 and len(out) == 20, log[-500:])
    out, status, log = curl("-I", f"{url}/bytes/1234", f"{url}/bytes/5")
    check("curl: HEAD tells the length and sends no body", status == 0 and b"1234" in out and log.count("Connected to") == 1, out)
    body = os.urandom(3_000_000)
    for name, options in [
        ("a body with its length", ["--data-binary", "@-"]),
        ("a body in chunks", ["-H", "Transfer-Encoding: chunked", "--data-binary", "@-"]),
        ("chunks and 100-continue", ["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "--data-binary", "@-"]),
        ("100-continue", ["-H", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", "@-"]),
        ("a body that comes from a pipe", ["-T", "-", "-X", "POST"]),
    ]:
        out, status, log = curl(*options, url + "/echo", data=body)
        check("curl: " + name, status == 0 and out == body and ("Expect:" not in log or "100 Continue" in log), log[-500:])
    out, status, log = curl("-H", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", "@-", url + "/nothing", data=body)
    check("curl: a body that nobody wants is not asked for", "404" in log and "100 Continue" not in log, log[-500:])
    with tempfile.NamedTemporaryFile() as large:
        large.truncate(200_000_000)
        out, status, log = curl("--data-binary", "@" + large.name, "-H", "Expect:", url + "/echo")
        check("curl: an early 413 is seen in the middle of a body", " 413 " in log and b"at most" in out, f"{status} {log[-500:]}")
    out, status, log = curl("-Z", *[f"{url}/bytes/{size}" for size in range(1000, 1050)])
    check("curl: fifty at a time", status == 0 and len(out) == sum(range(1000, 1050)), log[-500:])
    out, status, log = curl("-m", "0.3", url + "/slow", "--next", "-sS", "-m", "5", f"{url}/bytes/5")
    check("curl: one given up does not disturb the next", out == bytes(range(5)), log[-500:])


async def with_aiohttp(port):
    url = f"http://127.0.0.1:{port}"
    connected = 0

    async def count(*_):
        nonlocal connected
        connected += 1

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(count)
    async with aiohttp.ClientSession(trace_configs=[trace], timeout=aiohttp.ClientTimeout(total=30)) as session:
        sizes = []
        for size in range(50):
            async with session.get(f"{url}/bytes/{size}") as answer:
                sizes.append(len(await answer.read()))
        check("aiohttp: fifty requests on one connection", sizes == list(range(50)) and connected == 1, connected)

        body = os.urandom(1_000_000)

        async def pieces(pause=0.0):
            for start in range(0, len(body), 50_000):
                yield body[start:start + 50_000]
                await asyncio.sleep(pause)

        for name, options in [("bytes", {"data": body}), ("chunks", {"data": pieces()}), ("slow chunks", {"data": pieces(0.01)}),
                              ("100-continue", {"data": body, "expect100": True}),
                              ("chunks and 100-continue", {"data": pieces(), "expect100": True})]:
            async with session.post(url + "/echo", **options) as answer:
                check(f"aiohttp: {name}", answer.status == 200 and await answer.read() == body, answer)
        check("aiohttp: … all on that connection", connected == 1, connected)
        async with session.head(f"{url}/bytes/99") as answer:
            check("aiohttp: HEAD", answer.headers["Content-Length"] == "99" and await answer.read() == b"", answer)
        async with session.post(url + "/echo", data=b"x" * 100, headers={"Content-Encoding": "identity"}, chunked=True) as answer:
            check("aiohttp: one chunk", await answer.read() == b"x" * 100, answer)

        async def one(number):
            async with session.get(f"{url}/bytes/{number}") as answer:
                return len(await answer.read()) == number

        check("aiohttp: a thousand, a hundred at a time", all(await asyncio.gather(*[one(number) for number in range(1000)])))
        slow = asyncio.create_task(one_slow(session, url))
        await asyncio.sleep(0.2)
        slow.cancel()
        check("aiohttp: after one that was cancelled", await one(17))
        async with session.get(url + "/nothing") as answer:
            check("aiohttp: problem details", answer.status == 404 and answer.content_type == "application/problem+json", answer)


async def one_slow(session, url):
    async with session.get(url + "/slow") as answer:
        return await answer.read()


def trailers(port):
    with Connection(port) as one:
        one.send(b"POST /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum, Y\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                 b"5\r\nhello\r\n0\r\nX-Sum: 7\r\nY: z\r\nx-sum: 8\r\n\r\n")
        one.receive_all(5)
        answers, _ = parse_answers(one.received)
        check("trailers reach the handler, in order", answers and answers[0].body == b"X-Sum: 7\nY: z\nx-sum: 8\n", answers)
    with Connection(port) as one:
        one.send(b"POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n")
        one.receive_all(5)
        answers, _ = parse_answers(one.received)
        check("no trailers are none", answers and answers[0].status == 200 and answers[0].body == b"", answers)


async def at_an_edge(dev):
    """Ranges, HEAD and conditions of one object, over one connection."""
    url = dev["edges"][0]["http"].rstrip("/")
    body = os.urandom(2_000_000)
    headers = {"Authorization": "Bearer " + dev["tokens"]["alice"]}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as session:
        async with session.post(url + "/media/uploads", data=body) as answer:
            check("aiohttp: an upload", answer.status == 201 and answer.headers["Media-Id"] == hashlib.sha256(body).hexdigest(), answer)
            media = url + "/media/" + answer.headers["Media-Id"]
        for field, piece in [("bytes=0-0", body[:1]), ("bytes=65535-65536", body[65535:65537]), ("bytes=-5", body[-5:]),
                             ("bytes=1999990-", body[1999990:])]:
            async with session.get(media, headers={"Range": field}) as answer:
                check("aiohttp: " + field, answer.status == 206 and await answer.read() == piece, answer)
        async with session.get(media, headers={"Range": "bytes=2000000-"}) as answer:
            check("aiohttp: beyond the end", answer.status == 416 and answer.headers["Content-Range"] == "bytes */2000000", answer)
        async with session.head(media) as answer:
            etag = answer.headers["ETag"]
            check("aiohttp: HEAD of an object", answer.status == 200 and answer.headers["Content-Length"] == "2000000", answer)
        async with session.get(media, headers={"If-None-Match": etag}) as answer:
            check("aiohttp: not modified", answer.status == 304 and await answer.read() == b"", answer)
        async with session.get(media) as answer:
            await answer.content.readexactly(1000)
        async with session.get(media) as answer:
            check("aiohttp: after a download that was dropped", await answer.read() == body, answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev")
    options = parser.parse_args()
    with echo_server() as port:
        with_curl(port)
        asyncio.run(with_aiohttp(port))
        trailers(port)
    if options.dev:
        with open(options.dev) as file:
            asyncio.run(at_an_edge(json.load(file)))
    finish()


if __name__ == "__main__":
    main()
