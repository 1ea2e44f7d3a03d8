#!/usr/bin/env python3
"""OpenSSL's own client speaks DTLS to our server: protocols, keys, fragments, a network that loses and shuffles datagrams."""
import os
import pathlib
import random
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time

from lib_checks import check, finish

BUILD = pathlib.Path(os.environ.get("SKERRY_BUILD") or pathlib.Path(__file__).resolve().parents[2] / ".build" / "debug")
SRTP = "SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80"


class Server:
    def __init__(self, folder, max_datagram_bytes=1200):
        self.process = subprocess.Popen(
            [BUILD / "dtls-echo-server", folder / "cert.pem", folder / "key.pem", str(max_datagram_bytes)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def memory(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


class Network(threading.Thread):
    """Stands between one client and the server, and does to their datagrams what networks do."""

    def __init__(self, port, treat):
        super().__init__(daemon=True)
        self.near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.near.bind(("127.0.0.1", 0))
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.connect(("127.0.0.1", port))
        self.treat = treat
        self.client = None
        self.longest = 0
        self.running = True
        self.port = self.near.getsockname()[1]
        self.start()

    def run(self):
        while self.running:
            for ready in select.select([self.near, self.far], [], [], 0.05)[0]:
                batch = []
                # What comes together may be shuffled.
                while select.select([ready], [], [], 0.005)[0]:
                    try:
                        data, source = ready.recvfrom(65536)
                    except ConnectionRefusedError:
                        continue
                    if ready is self.near:
                        self.client = source
                    else:
                        self.longest = max(self.longest, len(data))
                    batch.append(data)
                for data in self.treat(batch):
                    if ready is self.near:
                        self.far.send(data)
                    else:
                        self.near.sendto(data, self.client)

    def stop(self):
        self.running = False
        self.join()


def client(port, folder, say, *arguments, version="-dtls1_2", seconds=10):
    """One s_client that says something, and is ended when the answer is there. Returns all that it printed."""
    process = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version, "-nbio", "-CAfile", folder / "cert.pem", "-verify_return_error",
         *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    os.set_blocking(process.stdout.fileno(), False)
    output, before, said_at, deadline = b"", None, 0, time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        select.select([process.stdout], [], [], 0.05)
        output += process.stdout.read() or b""
        if before is None and b"Verify return code" in output and output.endswith(b"---\n"):
            before = len(output)
        # A record may be lost: it is said again.
        if before is not None and time.monotonic() > said_at + 1:
            said_at = time.monotonic()
            process.stdin.write(say.encode() + b"\n")
            process.stdin.flush()
        if before is not None and output[before:].strip():
            break
    if process.poll() is None:
        process.kill()
    output += process.stdout.read() or b""
    process.wait()
    return output.decode(errors="replace")


def self_signed(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem", "-out",
         folder / "cert.pem"], check=True, capture_output=True)


def spoken(server, folder):
    text = client(server.port, folder, "ahoy", "-alpn", "echo", "-use_srtp", SRTP)
    check("a record comes back", text.rstrip().endswith("ahoy"), text)
    check("DTLS 1.2 with an AEAD", re.search(r"Protocol *: DTLSv1\.2\s+Cipher *: ECDHE-ECDSA-\S*(GCM|POLY1305)", text), text)
    check("the protocol is agreed on", "ALPN protocol: echo" in text, text)
    text = client(server.port, folder, "ahoy", "-alpn", "smtp")
    check("a protocol that is not spoken gets no answer", "No ALPN negotiated" in text and text.rstrip().endswith("ahoy"), text)

    text = client(
        server.port, folder, "tell keys", "-use_srtp", SRTP, "-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", 60)
    profile, keys = text.rstrip().splitlines()[-1].split(" ")
    exported = re.search(r"Keying material: (\w+)", text)
    check("the SRTP profile is agreed on", profile == "SRTP_AEAD_AES_256_GCM", text)
    check("both sides export the same SRTP keys", exported and exported.group(1).lower() == keys.lower(), text)


def refused(server, folder):
    # The client's ClientHello is DTLS 1.0's, its security level lowered so that it is sent at all.
    text = client(server.port, folder, "x", "-cipher", "ALL:@SECLEVEL=0", version="-dtls1", seconds=3)
    check("DTLS 1.0 is refused", "Cipher is (NONE)" in text or "alert protocol version" in text, text)
    text = client(server.port, folder, "x", "-cipher", "ECDHE-ECDSA-AES128-SHA", seconds=3)
    check("CBC ciphers are refused", "Cipher is (NONE)" in text, text)


def hello_floods(server, folder):
    """Hellos without a cookie cost no memory, and are not answered with more than they are."""
    hello = first_datagram(folder)
    before = server.memory()
    answered = larger = 0
    for _ in range(200):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(2)
            for _ in range(50):
                one.sendto(hello, ("127.0.0.1", server.port))
            try:
                answer = one.recv(65536)
                answered += 1
                larger += len(answer) > len(hello)
            except TimeoutError:
                pass
    check("hellos are answered with a cookie", answered == 200 and larger == 0, f"{answered} answers, {larger} larger")
    text = client(server.port, folder, "tell count")
    check("10,000 hellos without a cookie leave no association", text.rstrip().endswith("\n1"), text)
    grown = server.memory() - before
    check("and no memory", grown < 2_000, f"{grown} KiB")


def first_datagram(folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-dtls1_2"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return listener.recv(65536)
        finally:
            process.kill()
            process.wait()


def garbage(server, folder):
    random.seed(5)
    hello = first_datagram(folder)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for round in range(5_000):
            data = bytearray(hello) if round % 2 else bytearray(random.randbytes(random.randint(0, 1500)))
            for _ in range(random.randint(1, 8)):
                if data:
                    data[random.randrange(len(data))] = random.randrange(256)
            one.sendto(data, ("127.0.0.1", server.port))
    text = client(server.port, folder, "still here")
    check("garbage harms nobody", text.rstrip().endswith("still here"), text)


def networks(folder):
    small = Server(folder, max_datagram_bytes=256)

    def speak(name, treat, *arguments):
        network = Network(small.port, treat)
        text = client(network.port, folder, "across", "-mtu", 256, *arguments, seconds=25)
        network.stop()
        check(name, text.rstrip().endswith("across"), text)
        return network

    network = speak("fragments both ways", lambda batch: batch)
    check("no datagram of the handshake is longer than it may be", 0 < network.longest <= 256, network.longest)
    speak("fragments in reverse order", lambda batch: batch[::-1])
    speak("everything twice", lambda batch: batch + batch)
    chance = random.Random(7)
    speak("a fifth of the datagrams is lost", lambda batch: [data for data in batch if chance.random() > 0.2])
    check("SIGTERM ends it", (status := small.stop()) == 0, status)


def many(server, folder):
    results = []
    threads = [threading.Thread(target=lambda: results.append(client(server.port, folder, "me too"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = sum(text.rstrip().endswith("me too") for text in results)
    check("16 clients at once", good == 16, f"{good} of 16")


def main():
    with tempfile.TemporaryDirectory() as path:
        folder = pathlib.Path(path)
        self_signed(folder)
        server = Server(folder)
        spoken(server, folder)
        refused(server, folder)
        # Of killed clients something may stand still: a server of its own, whose associations are counted.
        check("SIGTERM ends it with clients", (status := server.stop()) == 0, status)
        server = Server(folder)
        hello_floods(server, folder)
        garbage(server, folder)
        many(server, folder)
        server.stop()
        networks(folder)
    finish()


if __name__ == "__main__":
    main()
