"""Relays for the scripts beside this one: an edge-node of the development start, begun again with settings of the script's own;
coturn's server, against which a script shows that it asks for nothing odd (--coturn); or any other (--server)."""
import argparse
import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import time
import urllib.request

from lib_turn import DTLS, Client, Datagrams, Stream, rest_credential

BUILD = pathlib.Path(os.environ.get("SKERRY_BUILD") or pathlib.Path(__file__).resolve().parents[2] / ".build" / "debug")
START_TIMEOUT_S = 20


class Relay:
    """What both have: addresses, and logins by the TURN REST convention."""
    host, host6 = "127.0.0.1", "::1"
    port = tls_port = 0
    secret = ""
    ca = None           # the file of the authority that signed the certificate

    def login(self, name="alice", lifetime=3600):
        user = f"{int(time.time()) + lifetime}:default:{name}"
        return user, rest_credential(self.secret, user)

    def link(self, kind="udp", host=None, source=None):
        server = (host or self.host, self.tls_port if kind in ("tls", "dtls") else self.port)
        if kind == "udp":
            return Datagrams(server, source)
        if kind == "dtls":
            return DTLS(server, source)
        context = None
        if kind == "tls":
            context = ssl.create_default_context(cafile=self.ca)
        return Stream(server, source, context, server_name="localhost")

    def client(self, kind="udp", name="alice", host=None, source=None, login=None, **options):
        return Client(self.link(kind, host, source), *(login or self.login(name)), **options)

    def url(self, kind):
        scheme, port = ("turns", self.tls_port) if kind in ("tls", "dtls") else ("turn", self.port)
        return f"{scheme}:{self.host}:{port}?transport={'tcp' if kind in ('tcp', 'tls') else 'udp'}"

    def answers(self):
        """Whether a new client gets an allocation."""
        try:
            with self.client(name="probe") as client:
                return client.allocate().code == 0 and client.refresh(0).code == 0
        except (OSError, TimeoutError):
            return False


class Edge(Relay):
    """An edge of the development start, begun again when the script wants other settings than it has."""

    def __init__(self, dev, index=0, settings=None):
        """settings: keys of the section relay, each with its value as YAML (what begins with a line break is a block), or a
        function of the edge that makes them."""
        self.dev = json.loads(pathlib.Path(dev).read_text())
        self.edge = self.dev["edges"][index]
        self.config = pathlib.Path(self.dev["config"]["edges"][index])
        self.pid, self.process = self.edge["pid"], None
        self.host, port = self.edge["turn"].rsplit(":", 1)
        self.port = int(port)
        self.tls_port = int(self.edge["turns"].rsplit(":", 1)[1]) if "turns" in self.edge else 0
        self.ca = self.dev["ca"]
        path = re.search(r'^  secret_file: "?([^"\n]+)"?$', self.config.read_text(), re.MULTILINE)[1]
        self.secret = (self.config.parent / path).read_text().rstrip("\n")
        self.log = self.config.with_name("relay-interop.log")
        if settings:
            self.stop()
            self.start(settings(self) if callable(settings) else settings)

    def stop(self):
        """Ends the process that runs, whoever began it; returns its exit status where it is known."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        if self.process:
            return self.process.wait(60)
        while pathlib.Path(f"/proc/{self.pid}").exists():
            time.sleep(0.02)
        return None

    def start(self, settings=None):
        config = self.config.with_name("relay-interop.yaml")
        config.write_text(changed(self.config.read_text(), settings or {}))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BUILD / "edge-node", "--config", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.edge["admin"] + "/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the edge is not ready: {self.log.read_text(errors='replace')[-2000:]}")

    def metric(self, name, **labels):
        """The sum over all that have these labels."""
        with urllib.request.urlopen(self.edge["admin"] + "/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines
            if re.match(re.escape(name) + r"[ {]", line) and all(label in line for label in wanted))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass    # what the runner began, it ends


def both_families(edge):
    """Settings: listeners and relayed addresses of IPv4 and IPv6."""
    return {"listen_addresses": f'["{edge.host}:{edge.port}", "[{edge.host6}]:{edge.port}"]',
            "tls_listen_addresses": f'["{edge.host}:{edge.tls_port}", "[{edge.host6}]:{edge.tls_port}"]',
            "relay_addresses": f'["{edge.host}", "{edge.host6}"]'}


def access_tokens(edge):
    """Settings: tokens are taken that coturn's client seals by its own keys (RFC 7635)."""
    lines = ["", "    server_name: relay.example.net", "    keys:"]
    for name, (key, size) in OAUTH_KEYS.items():
        file = edge.config.with_name(f"{name}.key")
        file.write_text(base64.b64encode(base64.b64decode(key)[:size]).decode() + "\n")
        file.chmod(0o600)
        lines += [f"      - id: {name}", f"        file: {file}"]
    return {"access_tokens": "\n".join(lines)}


def changed(text, settings):
    """The configuration with other settings in its section relay."""
    head, section, tail = re.search(r"(.*^relay:\n)((?:  .*\n|\n)*)(.*)", text, re.MULTILINE | re.DOTALL).groups()
    for key, value in settings.items():
        section = re.sub(rf"^  {key}:.*\n(?:    .*\n|  -.*\n)*", "", section, flags=re.MULTILINE)
        section += f"  {key}: {value}\n"
    return head + section + tail


class Coturn(Relay):
    """coturn's server, with all that its clients ask for."""
    secret = "0123456789abcdef"

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="skerry-coturn-"))
        self.port, self.tls_port = free_port(), free_port()
        self.ca = self.folder / "authority.pem"
        make_certificate(self.folder)
        make_database(self.folder / "users.db")
        command = [
            "turnserver", "-n", "--no-cli", "-L", self.host, "-L", "127.0.0.2", "-L", self.host6, "-E", self.host, "-E", self.host6,
            f"--listening-port={self.port}", f"--tls-listening-port={self.tls_port}", f"--cert={self.folder / 'certificate.pem'}",
            f"--pkey={self.folder / 'key.pem'}", "--allow-loopback-peers", "--use-auth-secret", f"--static-auth-secret={self.secret}",
            "--realm=skerry", "--oauth", "--server-name=crinna.org", "--mobility", "--min-port=40000", "--max-port=44999",
            "--no-software-attribute", f"--pidfile={self.folder / 'pid'}", "--log-file=stdout", f"--userdb={self.folder / 'users.db'}"]
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Given(Relay):
    """One that runs somewhere, with a login."""

    def __init__(self, server, user, credential):
        host, port = server.rsplit(":", 1)
        self.host, self.port, self.given = host, int(port), (user, credential)

    def login(self, *_):
        return self.given

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


# The keys that coturn's client has by heart (turnutils_uclient -J): their names, what they are cut from, the bytes of it that count.
OAUTH_KEYS = {
    "north": ("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK", 32),
    "union": ("MTIzNDU2Nzg5MDEyMzQ1Ngo=", 16),
    "oldempire": ("MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK", 32),
}


def make_database(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("create table oauth_key (kid varchar(128) primary key, ikm_key varchar(256), timestamp bigint default 0, "
                         "lifetime integer default 0, as_rs_alg varchar(64) default '', realm varchar(127))")
        for name, (key, size) in OAUTH_KEYS.items():
            database.execute(
                "insert into oauth_key (kid, ikm_key, as_rs_alg, realm) values (?, ?, ?, 'crinna.org')", (name, key, f"A{8 * size}GCM"))
        database.commit()


def make_certificate(folder):
    """certificate.pem and key.pem of localhost, signed by authority.pem."""
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nbasicConstraints=CA:FALSE\n")
    for command in (
            [*new, "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", folder / "authority.key", "-out", folder / "authority.pem"],
            [*new, "-subj", "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "request"],
            ["openssl", "x509", "-req", "-in", folder / "request", "-CA", folder / "authority.pem", "-CAkey", folder / "authority.key",
             "-CAcreateserial", "-days", "2", "-extfile", names, "-out", folder / "certificate.pem"]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def free_port(host="127.0.0.1"):
    """One that is free for TCP and UDP alike, and the one after it too."""
    while True:
        with contextlib.ExitStack() as stack:
            probe = stack.enter_context(socket.socket())
            probe.bind((host, 0))
            port = probe.getsockname()[1]
            try:
                for number, kind in ((port, socket.SOCK_DGRAM), (port + 1, socket.SOCK_DGRAM), (port + 1, socket.SOCK_STREAM)):
                    stack.enter_context(socket.socket(socket.AF_INET, kind)).bind((host, number))
                return port
            except (OSError, OverflowError):
                continue


def arguments(description):
    """A parser with what every script for the relay takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", default="var/dev.json")
    parser.add_argument("--edge", type=int, default=0)
    parser.add_argument("--coturn", action="store_true", help="against coturn's own server instead")
    parser.add_argument("--server", metavar="HOST:PORT", help="against a relay that runs, with --user and --credential")
    parser.add_argument("--user")
    parser.add_argument("--credential")
    return parser


def relay(options, settings=None):
    """The relay that the arguments name, for a with statement."""
    if options.server:
        return Given(options.server, options.user, options.credential)
    return Coturn() if options.coturn else Edge(options.dev, options.edge, settings)
