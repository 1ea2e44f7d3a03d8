#!/usr/bin/env python3
"""SIGTERM in the middle of everything: what is under way ends as it should, and the process in bounded time.

First the stages, one by one, at the echo server: graceful, cancelled, aborted, and what further signals do. Then all at once at an
edge-node: uploads, downloads, slow clients, WebSockets, TLS handshakes.

usage: shutdown.py [--dev var/dev.json]
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse
import urllib.request

from lib_checks import check, finish
from lib_echo import BUILD
from lib_raw import Connection, parse_answers

HOST = b"Host: a\r\n"
WEB_SOCKET = (b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")


def get(path, fields=b""):
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n"


class Echo:
    """One echo server, its log, and how it ends."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [BUILD / "echo-server", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def connect(self, data=b""):
        connection = Connection(self.port)
        if data:
            connection.send(data)
        return connection

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.began = time.monotonic()
        time.sleep(0.1)

    def ending(self, within):
        """The exit status, the seconds since the signal, and the log."""
        try:
            _, log = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            return None, within, ""
        return self.process.returncode, time.monotonic() - self.began, log.decode()


def expect(name, echo, status, low, high, words=""):
    got, took, log = echo.ending(high + 5)
    check(name, got == status and low <= took <= high and words in log, f"status {got} after {took:.2f} s: {log[-500:]}")


def stages():
    with Echo() as echo:
        idle = [echo.connect(get(b"/bytes/1")) for _ in range(5)] + [echo.connect() for _ in range(3)]
        for one in idle[:5]:
            one.receive_until(b"\0")
        echo.end()
        expect("idle connections end at once", echo, 0, 0, 1.5)
        check("… and are told", all(one.receive_all(2) for one in idle))
    # Behind the last answer the server waits two seconds for the client to close.
    with Echo("--drain-timeout-ms", 6000) as echo:
        one = echo.connect(get(b"/slow"))
        time.sleep(0.2)
        echo.end()
        check("nobody new comes in", is_refused(echo.port))
        expect("a request under way is answered", echo, 0, 0.4, 5)
        one.receive_all(2)
        answers, _ = parse_answers(one.received)
        check("… whole, and as the last", [answer.status for answer in answers] == [200]
              and answers[0].fields.get("connection") == "close", answers)
    with Echo("--drain-timeout-ms", 6000) as echo:
        one = echo.connect(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nhello")
        time.sleep(0.2)
        echo.end()
        time.sleep(0.5)
        one.send(b"world" + get(b"/bytes/7"))
        expect("an upload that goes on is taken", echo, 0, 0.5, 5)
        one.receive_all(2)
        answers, rest = parse_answers(one.received)
        check("… and answered, and nothing behind it is", [answer.body for answer in answers] == [b"helloworld"] and rest == b"", answers)
    for name, data in [("an upload that stops", b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nhello"),
                       ("chunks that stop", b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
                       ("a head that stops", b"GET /bytes/7 HTTP/1.1\r\nHo"), ("a download that is not read", get(b"/bytes/20000000")),
                       ("an open WebSocket", get(b"/echo", WEB_SOCKET)), ("a handler that waits", get(b"/patient"))]:
        with Echo("--drain-timeout-ms", 700) as echo:
            one = echo.connect(data)
            time.sleep(0.2)
            echo.end()
            expect(name + " is cut off when the drain is over", echo, 0, 0.5, 4, "cut off")
            one.socket.close()
    with Echo("--drain-timeout-ms", 500, "--cancel-timeout-ms", 500) as echo:
        one = echo.connect(get(b"/stuck"))
        time.sleep(0.2)
        echo.end()
        expect("a handler that does not let itself be cancelled is aborted, with status 1", echo, 1, 0.9, 2.5, "aborted")
        one.socket.close()
    with Echo("--drain-timeout-ms", 60000) as echo:
        one = echo.connect(get(b"/patient"))
        time.sleep(0.2)
        echo.end()
        time.sleep(0.4)
        still = echo.process.poll() is None
        echo.process.send_signal(signal.SIGTERM)
        expect("a second SIGTERM cuts the drain short", echo, 0, 0.3, 2, "a second time")
        check("… which it was still at", still)
        one.socket.close()
    with Echo("--drain-timeout-ms", 60000, "--cancel-timeout-ms", 60000) as echo:
        one = echo.connect(get(b"/stuck"))
        time.sleep(0.2)
        for _ in range(3):
            echo.end()
        expect("a third one aborts", echo, 1, 0, 1.5, "aborted")
        one.socket.close()


def is_refused(port):
    try:
        with Connection(port, timeout=2) as one:
            return one.receive_all(2) and one.received == b""
    except OSError:
        return True


class Edge:
    """An edge of the development start, run by this script so that its exit status is known."""

    def __init__(self, dev):
        self.dev, self.edge = dev, dev["edges"][0]
        self.config = dev["config"]["edges"][0]
        url = urllib.parse.urlsplit(self.edge["http"])
        self.host, self.port = url.hostname, url.port
        self.token = b"Authorization: Bearer " + dev["tokens"]["alice"].encode() + b"\r\n"
        self.process = None

    def start(self):
        self.log = open(pathlib.Path(self.config).with_name("shutdown.log"), "w+b")
        self.process = subprocess.Popen(
            [BUILD / "edge-node", "--config", self.config], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.edge["admin"] + "/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError("the edge is not ready")

    def text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def connect(self, data=b"", wrap=None):
        connection = Connection(self.port, self.host, wrap)
        if data:
            connection.send(data)
        return connection

    def ask(self, data):
        with self.connect(data) as one:
            one.receive_all(10)
            return parse_answers(one.received)[0][-1]


def take_over(edge):
    """Ends the edge that the development start began, and begins it again."""
    pid = edge.edge["pid"]
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                time.sleep(0.05)
                continue
        break
    edge.start()


def everything(dev):
    edge = Edge(dev)
    take_over(edge)
    drain = int(re.search(r"^drain_timeout_ms: (\d+)", pathlib.Path(edge.config).read_text(), re.MULTILINE)[1]) / 1000
    size = 30_000_000
    body = os.urandom(size)
    close = b"Connection: close\r\n"
    answer = edge.ask(b"POST /media/uploads HTTP/1.1\r\n" + HOST + edge.token + close + b"Content-Length: %d\r\n\r\n" % size + body)
    check("an object to be fetched", answer.status == 201, answer)
    media = b"/media/" + answer.fields.get("media-id", "").encode()
    answer = edge.ask(b"POST /media/uploads HTTP/1.1\r\n" + HOST + edge.token + close
                      + b"Tus-Resumable: 1.0.0\r\nUpload-Length: %d\r\nContent-Length: 0\r\n\r\n" % size)
    check("an upload to be resumed", answer.status == 201, answer)
    upload = urllib.parse.urlsplit(answer.fields.get("location", "")).path.encode()

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    kept = []
    patch = edge.connect(b"PATCH " + upload + b" HTTP/1.1\r\n" + HOST + edge.token + b"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
                         b"Content-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n" % size)
    patch.send(body[:10_000_000])
    kept.append(patch)
    for _ in range(20):
        kept.append(edge.connect(get(media, edge.token)))  # asked for, not read
        kept.append(edge.connect(b"GET /media/x HT"))  # half a head
        kept.append(edge.connect(b"\x16\x03\x01\x02\x00\x01\x00"))  # half a handshake
        kept.append(edge.connect())
        kept.append(edge.connect(get(b"/nothing")))
        with contextlib.suppress(OSError, ssl.SSLError):
            kept.append(edge.connect(get(b"/nothing"), context.wrap_socket))
    web_socket = edge.connect(get(b"/connect", edge.token + WEB_SOCKET + b"Sec-WebSocket-Protocol: skerry.v1.json\r\n"))
    web_socket.receive_until(b"\r\n\r\n", 5)
    check("a WebSocket is open", b" 101 " in web_socket.received, web_socket.received[:200])
    reader = edge.connect(get(media, edge.token))
    time.sleep(0.5)

    began = time.monotonic()
    edge.process.send_signal(signal.SIGTERM)
    # Meanwhile one goes on reading, and the whole object arrives.
    reader.socket.settimeout(drain + 5)
    while len(reader.received) < size + 4096 and reader.receive(drain + 5):
        pass
    answers, _ = parse_answers(reader.received)
    check("a download that goes on arrives whole", answers and answers[0].body == body, f"{len(reader.received)} bytes")
    check("the WebSocket is closed with a frame", web_socket.receive_all(drain + 5) and b"\x88" in web_socket.received,
          web_socket.received[-50:])
    try:
        status = edge.process.wait(drain + 10)
    except subprocess.TimeoutExpired:
        status = None
    took = time.monotonic() - began
    check("the edge ends in time, with status 0", status == 0 and took < drain + 3, f"status {status} after {took:.1f} s\n{edge.text()[-2000:]}")
    check("… and says so", "ended" in edge.text() and "aborted" not in edge.text(), edge.text()[-2000:])
    for one in [*kept, web_socket, reader]:
        one.socket.close()

    edge.start()
    answer = edge.ask(b"HEAD " + upload + b" HTTP/1.1\r\n" + HOST + edge.token + close + b"Tus-Resumable: 1.0.0\r\n\r\n") if upload else None
    offset = int(answer.fields.get("upload-offset", 0)) if answer else 0
    check("what the upload had sent is kept", offset == 10_000_000, f"{offset} {answer}")

    slow = [edge.connect(get(media, edge.token)) for _ in range(5)]
    time.sleep(0.3)
    began = time.monotonic()
    edge.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    edge.process.send_signal(signal.SIGTERM)
    try:
        status = edge.process.wait(15)
    except subprocess.TimeoutExpired:
        status = None
    took = time.monotonic() - began
    check("a second SIGTERM ends it at once", status == 0 and took < 3, f"status {status} after {took:.1f} s\n{edge.text()[-2000:]}")
    for one in slow:
        one.socket.close()
    edge.start()
    check("and it starts again", True)
    edge.process.send_signal(signal.SIGTERM)
    check("an edge with nothing to do ends at once", edge.process.wait(15) == 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev")
    options = parser.parse_args()
    stages()
    if options.dev:
        with open(options.dev) as file:
            everything(json.load(file))
    finish()


if __name__ == "__main__":
    main()
