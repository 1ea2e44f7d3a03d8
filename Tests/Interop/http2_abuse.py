#!/usr/bin/env python3
"""HTTP/2 by clients made by others: h2, curl, nghttp and h2load get their answers; floods written with hyperframe are cut off.

usage: http2_abuse.py [--dev var/dev.json]

Most of it runs against the echo server, over plain TCP and by prior knowledge; uploads and ranges of media run over TLS and ALPN
against an edge-node when --dev is given. Behind every flood the server has to answer others, and its memory has to be bounded.
"""
import argparse
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import time

import h2.config
import h2.connection
import h2.events
import hpack
from hyperframe import frame

from lib_checks import check, finish
from lib_echo import echo_server

CALM = 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_GROWTH_KIB = 96 * 1024


class Client:
    """A well-behaved client over h2."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 24)
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def request(self, method, path, fields=(), body=None):
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a"), *fields]
        self.h2.send_headers(stream, head, end_stream=body is None)
        self.flush()
        return stream

    def events(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed")
        events = self.h2.receive_data(data)
        for event in events:
            if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        return events

    def send_body(self, stream, body):
        """Sends as the windows allow."""
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if room == 0:
                self.events()
                continue
            self.h2.send_data(stream, body[:room])
            body = body[room:]
            self.flush()
        self.h2.end_stream(stream)
        self.flush()

    def answers(self, *streams):
        """Status, fields and body of each; the status is the code of RST_STREAM, below 0, for one that was reset."""
        answers, open_streams = {stream: [0, {}, b""] for stream in streams}, set(streams)
        while open_streams:
            for event in self.events():
                stream = getattr(event, "stream_id", None)
                if stream not in open_streams:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    answers[stream][1] = dict(event.headers)
                    answers[stream][0] = int(answers[stream][1][":status"])
                elif isinstance(event, h2.events.DataReceived):
                    answers[stream][2] += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    open_streams.remove(stream)
                elif isinstance(event, h2.events.StreamReset):
                    answers[stream][0] = -int(event.error_code)
                    open_streams.remove(stream)
        return [answers[stream] for stream in streams]


def conformance(port):
    client = Client(port)
    [(status, fields, body)] = client.answers(client.request("GET", "/bytes/70000"))
    check("h2: a GET", status == 200 and body == bytes(i % 256 for i in range(70000)), (status, len(body)))
    check("h2: fields of the answer", fields.get("content-length") == "70000" and "date" in fields
          and not {"connection", "transfer-encoding"} & set(fields), fields)
    [(status, fields, body)] = client.answers(client.request("HEAD", "/bytes/5"))
    check("h2: HEAD has no body", status == 200 and fields["content-length"] == "5" and body == b"", (status, fields, body))
    streams = [client.request("GET", f"/bytes/{20000 + i}") for i in range(100)]
    answers = client.answers(*streams)
    check("h2: a hundred streams at once", all(a[0] == 200 and len(a[2]) == 20000 + i for i, a in enumerate(answers)))
    data = os.urandom(3_000_000)
    stream = client.request("POST", "/echo", body=data)
    client.send_body(stream, data)
    [(status, _, body)] = client.answers(stream)
    check("h2: three megabytes there and back", status == 200 and body == data, (status, len(body)))
    [(status, fields, _)] = client.answers(client.request("GET", "/nothing"))
    check("h2: 404 as problem details", status == 404 and fields["content-type"] == "application/problem+json", fields)
    slow = client.request("GET", "/slow")
    quick = client.request("GET", "/bytes/1")
    [(status, _, _)] = client.answers(quick)
    check("h2: a slow stream does not hold another", status == 200)
    check("h2: and is answered", client.answers(slow)[0][0] == 200)
    client.h2.ping(b"12345678")
    client.flush()
    acknowledged = False
    while not acknowledged:
        acknowledged = any(isinstance(event, h2.events.PingAckReceived) for event in client.events())
    check("h2: PING is acknowledged", acknowledged)
    client.socket.close()


def run(*command):
    return subprocess.run(command, capture_output=True, timeout=60)


def tools(port):
    url = f"http://127.0.0.1:{port}"
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(2_000_000))
        file.flush()
        sent = pathlib.Path(file.name).read_bytes()
        curl = ["curl", "-sS", "-m", "30", "--http2-prior-knowledge"]
        done = run(*curl, "--data-binary", "@" + file.name, "-H", "Expect: 100-continue", url + "/echo")
        check("curl: a body there and back", done.stdout == sent, done.stderr)
    done = run(*curl, "-w", "%{http_version}", url + "/bytes/3")
    check("curl: speaks HTTP/2", done.stdout == b"\0\1\2" + b"2", done)
    done = run("nghttp", "-n", "-s", url + "/bytes/100000", url + "/bytes/5")
    check("nghttp: two requests", done.returncode == 0 and done.stdout.count(b"200") >= 2, done)
    done = run("h2load", "-n", "2000", "-c", "8", "-m", "50", url + "/bytes/16384")
    check("h2load: all succeed", b"2000 succeeded" in done.stdout and b"status codes: 2000 2xx" in done.stdout, done.stdout)
    done = run("h2load", "-n", "2000", "-c", "8", "-m", "10", "--header=x: " + "a" * 2000, url + "/bytes/1")
    check("h2load: with large fields", b"2000 succeeded" in done.stdout, done.stdout)


def open_request(encoder, stream, path="/slow", ends=True, method="GET", fields=()):
    head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a"), *fields]
    flags = ["END_HEADERS"] + (["END_STREAM"] if ends else [])
    return frame.HeadersFrame(stream, data=encoder.encode(head), flags=flags).serialize()


def floods():
    """Names, and what makes the bytes of one round from its number."""
    def rapid(code):
        encoder = hpack.Encoder()
        return lambda i: open_request(encoder, 2 * i + 1) + frame.RstStreamFrame(2 * i + 1, error_code=code).serialize()

    def bomb(i):
        huge = hpack.Encoder()
        block = huge.encode([(":method", "GET"), (":scheme", "http"), (":path", "/slow"), (":authority", "a"), ("x", "a" * 4000)])
        return frame.HeadersFrame(2 * i + 1, data=block + b"\xbe" * 4000, flags=["END_HEADERS", "END_STREAM"]).serialize()

    def continuation(payload):
        def round_of(i):
            if i == 0:
                return frame.HeadersFrame(1, data=hpack.Encoder().encode([(":method", "GET")])).serialize()
            return frame.ContinuationFrame(1, data=payload).serialize()
        return round_of

    def empty_data(i):
        return (open_request(hpack.Encoder(), 1, "/echo", ends=False, method="POST") if i == 0 else b"") + frame.DataFrame(1).serialize()

    def made_reset(i):
        window = frame.WindowUpdateFrame(2 * i + 1, window_increment=2**31 - 1).serialize()
        return open_request(faulty, 2 * i + 1) + window

    faulty = hpack.Encoder()
    return [
        ("rapid reset (CVE-2023-44487)", rapid(8)),
        ("rapid reset with NO_ERROR", rapid(0)),
        ("made to reset (CVE-2025-8671)", made_reset),
        ("CONTINUATION frames (CVE-2024-27316)", continuation(b"\x00\x01a\x01b" * 100)),
        ("empty CONTINUATION frames", continuation(b"")),
        ("a bomb of HPACK", bomb),
        ("SETTINGS frames", lambda i: frame.SettingsFrame(0, settings={4: 65535 + i}).serialize()),
        ("PING frames", lambda i: frame.PingFrame(0, opaque_data=struct.pack(">Q", i)).serialize()),
        ("empty DATA frames", empty_data),
        ("WINDOW_UPDATE frames", lambda i: frame.WindowUpdateFrame(0, window_increment=1).serialize()),
        ("PRIORITY frames", lambda i: frame.PriorityFrame(2 * i + 1, depends_on=0, stream_weight=3).serialize()),
    ]


def received_frames(data):
    position = 0
    while position + 9 <= len(data):
        head, length = frame.Frame.parse_frame_header(memoryview(data[position:position + 9]))
        head.parse_body(memoryview(data[position + 9:position + 9 + length]))
        position += 9 + length
        yield head


def flood(port, round_of, rounds=20_000):
    """Sends until the server has had enough; the code of its GOAWAY, and the number of rounds that went out."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(PREFACE + frame.SettingsFrame(0).serialize())
    answer, sent = b"", 0
    try:
        for sent in range(0, rounds, 50):
            connection.sendall(b"".join(round_of(i) for i in range(sent, sent + 50)))
            connection.setblocking(False)
            try:
                answer += connection.recv(1 << 20)
            except BlockingIOError:
                pass
            connection.settimeout(20)
            if any(isinstance(one, frame.GoAwayFrame) for one in received_frames(answer)):
                break
        while more := connection.recv(1 << 20):
            answer += more
    except OSError:
        pass
    connection.close()
    codes = [one.error_code for one in received_frames(answer) if isinstance(one, frame.GoAwayFrame)]
    return (codes[-1] if codes else None), sent


def resident_kib(process):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{process}/status").read_text()).group(1))


def abuse(port, process):
    before = resident_kib(process)
    for name, round_of in floods():
        code, sent = flood(port, round_of)
        check(f"{name}: told to calm down", code == CALM, (code, sent))
        began = time.monotonic()
        client = Client(port)
        status = client.answers(client.request("GET", "/bytes/10"))[0][0]
        client.socket.close()
        check(f"{name}: others are served", status == 200 and time.monotonic() - began < 2, time.monotonic() - began)
    stalls = [stall(port) for _ in range(10)]
    client = Client(port)
    check("zero windows: others are served", client.answers(client.request("GET", "/bytes/10"))[0][0] == 200)
    growth = resident_kib(process) - before
    check("memory is bounded", growth < MAX_GROWTH_KIB, f"{growth} KiB")
    for connection in stalls:
        connection.close()


def stall(port):
    """Asks for much and gives no window."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    encoder = hpack.Encoder()
    connection.sendall(PREFACE + frame.SettingsFrame(0, settings={4: 0}).serialize()
                       + b"".join(open_request(encoder, 2 * i + 1, "/bytes/16384") for i in range(50)))
    return connection


def timeouts():
    """What waits for a peer is ended in time."""
    with echo_server("--idle-timeout-ms", 300, "--head-timeout-ms", 300, "--body-timeout-ms", 300) as port:
        for name, data, expected in [
            ("an idle connection", b"", 0),
            ("half a head", frame.HeadersFrame(1, data=b"\x82").serialize(), CALM),
        ]:
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            connection.sendall(PREFACE + frame.SettingsFrame(0).serialize() + data)
            answer = b""
            while more := connection.recv(65536):
                answer += more
            codes = [one.error_code for one in received_frames(answer) if isinstance(one, frame.GoAwayFrame)]
            check(f"{name} ends", codes == [expected], codes)
        client = Client(port)
        answer = client.answers(client.request("POST", "/echo", body=b""))[0]
        check("half a body is 408", answer[0] == 408, answer)
        client.socket.close()


def media(dev_path):
    """Uploads and ranges over TLS, where ALPN chooses HTTP/2."""
    dev = json.loads(pathlib.Path(dev_path).read_text())
    edge = dev["edges"][0]["http"].replace("http://", "https://")
    curl = ["curl", "-sS", "-k", "-m", "60", "--http2", "-H", "Authorization: Bearer " + dev["tokens"]["alice"], "-w", "\n%{http_version} %{http_code}"]
    data = os.urandom(3_000_000)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "data")
        pathlib.Path(file).write_bytes(data)
        head = os.path.join(folder, "head")
        done = run(*curl, "-D", head, "-X", "POST", "-H", "Tus-Resumable: 1.0.0", "-H", f"Upload-Length: {len(data)}", edge + "/media/uploads")
        check("media: an upload is created over HTTP/2", done.stdout.endswith(b"2 201"), done)
        location = re.search(r"(?im)^location: *(\S+)", pathlib.Path(head).read_text())
        location = location.group(1) if location else "/media/uploads/none"
        target = location if "://" in location else edge + location
        target = target.replace("http://", "https://")
        done = run(*curl, "-D", head, "-X", "PATCH", "-H", "Tus-Resumable: 1.0.0", "-H", "Upload-Offset: 0", "-H",
                   "Content-Type: application/offset+octet-stream", "--data-binary", "@" + file, target)
        check("media: PATCH with three megabytes", done.stdout.endswith(b"2 204"), done)
        identity = re.search(r"(?im)^media-id: *(\S+)", pathlib.Path(head).read_text())
        check("media: the upload is complete", identity is not None, pathlib.Path(head).read_text())
        if identity is None:
            return
        url = f"{edge}/media/{identity.group(1)}"
        done = run(*curl, url)
        check("media: fetched whole", done.stdout == data + b"\n2 200", done.stdout[-200:])
        done = run(*curl, "-H", "Range: bytes=1000000-1999999", url)
        check("media: a range", done.stdout == data[1_000_000:2_000_000] + b"\n2 206", done.stdout[-200:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev")
    options = parser.parse_args()
    with echo_server() as port:
        children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        conformance(port)
        tools(port)
        abuse(port, int(children[0]))
    timeouts()
    if options.dev:
        media(options.dev)
    finish()


main()
