#!/usr/bin/env python3
"""Uploads with tuspy through a proxy that cuts connections, kills the node in the middle, and compares at another edge.

usage: tus_tuspy.py [--dev var/dev.json] [--megabytes 100] [--cuts 3] [--sealed] [--no-kill]

Needs the Python package tuspy and two edges. The node is started again from the folder
SKERRY_BUILD, .build/release if not set. Exits non-zero if anything is not right.
"""
import argparse
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from tusclient import client as tus
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

import requests


passed = 0


def ok(message):
    global passed
    passed += 1
    print("ok   ", message)


def fail(message):
    print("FAILED", message)
    print(f"{passed} passed, 1 failed")
    sys.exit(1)


class CuttingProxy:
    """Forwards TCP to a node; cuts a connection hard after each of the given numbers of uploaded bytes, and calls `kill` once
    after `kill_at` of them."""

    def __init__(self, target, cuts, kill_at, kill):
        self.target = target
        self.cuts = sorted(cuts)
        self.kill_at = kill_at
        self.kill = kill
        self.sent = 0
        self.done_cuts = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = socket.create_connection(self.target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            threading.Thread(target=self.pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()

    def pump(self, source, sink, counts):
        try:
            while data := source.recv(65536):
                if counts:
                    with self.lock:
                        self.sent += len(data)
                        cut = bool(self.cuts) and self.sent >= self.cuts[0]
                        if cut:
                            self.cuts.pop(0)
                            self.done_cuts += 1
                        if self.kill_at and self.sent >= self.kill_at:
                            self.kill_at = None
                            self.kill()
                    if cut:
                        sink.sendall(data[: len(data) // 2])
                        # No FIN and no farewell: a reset on both sides.
                        for end in (source, sink):
                            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                            end.close()
                        return
                sink.sendall(data)
        except OSError:
            # Closed with bytes unread, so that the other side hears of it at once.
            source.close()
            sink.close()
            return
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def wait_until_ready(edge, seconds=30):
    deadline = time.time() + seconds
    while time.time() < deadline:
        try:
            with urllib.request.urlopen(edge["admin"].rstrip("/") + "/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    fail("the node did not become ready again")


def restart(edge, node, dev):
    time.sleep(0.3)
    edge["pid"] = subprocess.Popen(
        [node, "--config", dev["config"]["edges"][0]], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL).pid
    wait_until_ready(edge)
    print(f"  killed and started again as {edge['pid']}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev", default="var/dev.json")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--sealed", action="store_true")
    parser.add_argument("--no-kill", action="store_true")
    options = parser.parse_args()
    node = os.path.join(os.environ.get("SKERRY_BUILD", ".build/release"), "edge-node")
    with open(options.dev) as file:
        dev = json.load(file)
    if len(dev["edges"]) < 2:
        fail("two edges are needed: Scripts/run --edges 2")
    edge, other = dev["edges"][:2]
    headers = {"Authorization": "Bearer " + dev["tokens"]["alice"]}
    size = options.megabytes * 1_000_000 + 12_345

    with tempfile.NamedTemporaryFile() as file:
        digest = hashlib.sha256()
        left = size
        while left:
            block = os.urandom(min(left, 1 << 20))
            digest.update(block)
            file.write(block)
            left -= len(block)
        file.flush()
        expected = digest.hexdigest()

        host, port = edge["http"].split("://")[1].rstrip("/").split(":")
        killed = threading.Event()

        def kill():
            os.kill(edge["pid"], signal.SIGKILL)
            killed.set()

        step = size // (options.cuts + 2)
        kill_at = None if options.no_kill else step * (options.cuts + 1)
        proxy = CuttingProxy((host, int(port)), [step * (i + 1) for i in range(options.cuts)], kill_at, kill)
        url = f"http://127.0.0.1:{proxy.port}/media/uploads"
        metadata = {"filename": "random.bin", "sha256": expected, "mode": "sealed" if options.sealed else "managed"}

        started = time.time()
        my_client = tus.TusClient(url, headers=headers)
        uploader = my_client.uploader(file.name, chunk_size=8 << 20, metadata=metadata)
        acknowledged = 0
        interruptions = 0
        restarts = 0
        while True:
            try:
                while uploader.offset < size:
                    uploader.upload_chunk()
                    acknowledged = uploader.offset
                break
            except (TusCommunicationError, TusUploadFailed, requests.RequestException, OSError) as error:
                interruptions += 1
                if interruptions > options.cuts + 20:
                    fail(f"too many interruptions: {error}")
                if killed.is_set():
                    killed.clear()
                    restart(edge, node, dev)
                    restarts += 1
                uploader = my_client.uploader(file.name, chunk_size=8 << 20, url=uploader.url, metadata=metadata)
                print(f"  interrupted at {acknowledged}, the server has {uploader.offset}")
                if uploader.offset < acknowledged:
                    fail(f"the offset went back from {acknowledged} to {uploader.offset}")
        seconds = time.time() - started
        if proxy.done_cuts < options.cuts:
            fail(f"only {proxy.done_cuts} of {options.cuts} cuts were made")
        ok(f"{proxy.done_cuts} cuts, {interruptions} interruptions, the offset never went back")
        if not options.no_kill:
            if restarts != 1:
                fail(f"the node was killed {restarts} times in the upload, not once")
            ok("kill -9 in the middle of a request")

        location = uploader.url.replace(f"http://127.0.0.1:{proxy.port}", edge["http"].rstrip("/"))
        media = None
        for _ in range(100):
            head = requests.head(location, headers={**headers, "Tus-Resumable": "1.0.0"})
            media = head.headers.get("Media-Id")
            if media:
                break
            time.sleep(0.1)
        if media != expected:
            fail(f"Media-Id is {media}, expected {expected}")
        ok(f"uploaded {size} bytes in {seconds:.1f} s")

        for where in (other, edge):
            fetched = hashlib.sha256()
            started = time.time()
            with requests.get(where["http"].rstrip("/") + "/media/" + media, headers=headers, stream=True) as answer:
                if answer.status_code != 200:
                    fail(f"{where['name']} answers {answer.status_code}: {answer.text}")
                for block in answer.iter_content(1 << 20):
                    fetched.update(block)
            if fetched.hexdigest() != expected:
                fail(f"{where['name']} serves other bytes")
            ok(f"fetched at {where['name']} in {time.time() - started:.1f} s, the same bytes")
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
