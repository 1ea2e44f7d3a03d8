#!/usr/bin/env python3
"""TLS of the public port, judged by openssl s_client: names, versions, ciphers, tickets, client certificates, new certificates.

usage: tls_openssl.py [--dev var/dev.json]

Starts the last edge again with certificates of its own. Needs openssl. Exits non-zero if anything is not right.
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request

from lib_checks import check, finish

BUILD = pathlib.Path(os.environ.get("SKERRY_BUILD") or pathlib.Path(__file__).resolve().parents[2] / ".build" / "debug")
REQUEST = b"GET /nothing HTTP/1.1\r\nHost: first.example\r\nConnection: close\r\n\r\n"
SIBLING = "skerry-sibling/1"


class Answer:
    """What s_client tells of one connection."""

    def __init__(self, result):
        self.text = result.stdout.decode(errors="replace")
        found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", self.text, re.DOTALL)
        self.certificate = found[0] if found else None
        self.connected = re.search(r"^(New|Reused), TLSv1\.[23], Cipher is [A-Z]", self.text, re.MULTILINE) is not None
        self.answered = "HTTP/1.1 404" in self.text
        self.resumed = re.search(r"^Reused, ", self.text, re.MULTILINE) is not None
        self.tickets = self.text.count("TLS session ticket:")
        match = re.search(r"^ALPN protocol: (\S+)", self.text, re.MULTILINE)
        self.protocol = match.group(1) if match else None
        match = re.search(r"Cipher is (\S+)", self.text)
        self.cipher = match.group(1) if match else None

    @property
    def name(self):
        """The common name of the certificate that was shown."""
        match = re.search(r"CN\s*=\s*([^\s,]+)", x509(self.certificate, "-subject")) if self.certificate else None
        return match.group(1) if match else None


def x509(pem, *options):
    return subprocess.run(
        ["openssl", "x509", "-noout", *options], input=pem.encode(), stdout=subprocess.PIPE, check=True).stdout.decode()


def certify(folder, stem, common_name, names, key=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), days=30):
    """A self-signed certificate; both files are put in their places as an operator would, by renaming."""
    made = {ending: folder / f"{stem}.{ending}.made" for ending in ("pem", "key")}
    subprocess.run(
        ["openssl", "req", "-x509", *key, "-nodes", "-days", str(days), "-subj", f"/CN={common_name}",
         "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names),
         "-keyout", made["key"], "-out", made["pem"]],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(made["key"], 0o600)
    for ending, path in made.items():
        os.rename(path, folder / f"{stem}.{ending}")


class Edge:
    """The edge-node under test, and its files."""

    def __init__(self, dev, folder):
        edge = dev["edges"][-1]
        self.folder = folder
        self.admin = edge["admin"]
        self.port = int(edge["http"].rsplit(":", 1)[1].strip("/"))
        self.config = pathlib.Path(dev["config"]["edges"][-1])
        self.original = self.config.read_text()
        self.own = [pathlib.Path(json.loads(re.search(rf"^  {key}: (.*)$", self.original, re.MULTILINE).group(1)))
                    for key in ("certificate_file", "private_key_file", "authority_file")]
        certificates = "".join(
            f"    - certificate_file: {folder}/{stem}.pem\n      private_key_file: {folder}/{stem}.key\n"
            for stem in ("first", "first-rsa", "wildcard"))
        without = re.sub(r"^tls:\n(?:  .*\n)*", "", self.original, flags=re.MULTILINE)
        self.config.write_text(
            without.replace("certificate:\n", "certificate:\n  reload_interval_ms: 100\n", 1)
            + f"\ntls:\n  certificates:\n{certificates}")
        os.kill(edge["pid"], signal.SIGTERM)
        self.wait_for_end(edge["pid"])
        self.log = folder / "edge.log"
        self.start()

    def wait_for_end(self, pid):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and pathlib.Path(f"/proc/{pid}/exe").exists():
            try:
                if pathlib.Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "Z":
                    return
            except OSError:
                return
            time.sleep(0.05)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BUILD / "edge-node", "--config", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(self.admin + "/readyz", timeout=5):
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"edge-node is not ready:\n{self.log.read_text()}")

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def s_client(self, *options, name="first.example", alpn=None, send=REQUEST):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-ign_eof", "-showcerts"]
        command += ["-servername", name] if name else ["-noservername"]
        command += ["-alpn", alpn] if alpn else []
        try:
            return Answer(subprocess.run(
                command + list(map(str, options)), input=send, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20))
        except subprocess.TimeoutExpired as error:
            return Answer(subprocess.CompletedProcess(command, 1, error.stdout or b""))

    def metric(self, name, label=""):
        with urllib.request.urlopen(self.admin + "/metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name) and label in line:
                    return float(line.rsplit(" ", 1)[1])
        return None

    def wait_for(self, name, value):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.metric(name) >= value:
                return True
            time.sleep(0.05)
        return False


def names(edge):
    for asked, shown in (("first.example", "first"), ("www.first.example", "first"), ("FIRST.example", "first"),
                         ("any.second.example", "wildcard"), ("a.b.second.example", "first"), ("second.example", "first"),
                         ("nobody.example", "first"), (None, "first")):
        for version in ("-tls1_3", "-tls1_2"):
            answer = edge.s_client(version, name=asked)
            check(f"{asked} {version}", answer.answered and answer.name == shown, answer.text)
    for options in (("-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"), ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")):
        answer = edge.s_client(*options)
        check(f"RSA for those who ask {options[0]}", answer.answered and answer.name == "first-rsa", answer.text)


def versions_and_ciphers(edge):
    old = ("-cipher", "ALL:@SECLEVEL=0")
    for version in ("-tls1", "-tls1_1"):
        answer = edge.s_client(version, *old)
        check(f"{version} is refused", not answer.connected and "alert protocol version" in answer.text, answer.text)
    for cipher in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA256", "AES128-GCM-SHA256",
                   "AES256-SHA", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-CCM"):
        answer = edge.s_client("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
        check(f"{cipher} is refused", not answer.connected and "handshake failure" in answer.text, answer.text)
    for kind in ("ECDSA", "RSA"):
        for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"):
            answer = edge.s_client("-tls1_2", "-cipher", f"ECDHE-{kind}-{cipher}")
            check(f"ECDHE-{kind}-{cipher}", answer.answered and answer.cipher == f"ECDHE-{kind}-{cipher}", answer.text)
    for suite in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"):
        answer = edge.s_client("-tls1_3", "-ciphersuites", suite)
        check(suite, answer.answered and answer.cipher == suite, answer.text)
    answer = edge.s_client("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256")
    check("ChaCha20 for those who prefer it", answer.cipher == "TLS_CHACHA20_POLY1305_SHA256", answer.text)
    for group in ("X25519", "P-256"):
        check(f"{group}", edge.s_client("-tls1_3", "-groups", group).answered)
        check(f"{group} after another guess", edge.s_client("-tls1_3", "-groups", f"P-521:{group}").answered)
    for group in ("P-384", "P-521", "X448"):
        answer = edge.s_client("-tls1_3", "-groups", group)
        check(f"{group} is refused", not answer.connected and "handshake failure" in answer.text, answer.text)
    answer = edge.s_client("-tls1_2", "-comp")
    check("no compression", answer.answered and "Compression: NONE" in answer.text, answer.text)
    # R is s_client's command for a renegotiation.
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", "-tls1_2"], input=b"R\n", stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=20)
    check("no renegotiation", b"RENEGOTIATING" in result.stdout and b"no renegotiation" in result.stdout, result.stdout)


def protocols(edge):
    check("http/1.1 by ALPN", edge.s_client(alpn="http/1.1").protocol == "http/1.1")
    check("a protocol that nobody knows", edge.s_client(alpn="imap").protocol is None)
    check("no ALPN", edge.s_client().answered)
    certificate, key, authority = edge.own
    proof = ("-cert", certificate, "-key", key, "-CAfile", authority)
    stranger = ("-cert", edge.folder / "first.pem", "-key", edge.folder / "first.key")
    for version in ("-tls1_3", "-tls1_2"):
        saved = edge.folder / f"sibling{version}"
        answer = edge.s_client(version, *proof, "-sess_out", saved, alpn=SIBLING)
        uris = x509(answer.certificate, "-ext", "subjectAltName") if answer.certificate else ""
        check(f"a sibling {version}", answer.connected and answer.protocol == SIBLING and "URI:skerry://" in uris, answer.text)
        check(f"its certificate is the cluster's {version}", "Verify return code: 0 (ok)" in answer.text, answer.text)
        check(f"no ticket for it {version}", answer.tickets == 0, answer.text)
        for title, shown in (("none", ()), ("a stranger's", stranger)):
            answer = edge.s_client(version, *shown, alpn=SIBLING)
            check(f"with {title} certificate {version}", "alert" in answer.text and "HTTP/1.1" not in answer.text, answer.text)
        public = edge.folder / f"public{version}"
        edge.s_client(version, "-sess_out", public)
        answer = edge.s_client(version, "-sess_in", public, alpn=SIBLING)
        check(f"a client's ticket opens nothing {version}", "alert" in answer.text and "HTTP/1.1" not in answer.text, answer.text)


def resumption(edge):
    for version in ("-tls1_3", "-tls1_2"):
        saved = edge.folder / f"session{version}"
        answer = edge.s_client(version, "-sess_out", saved)
        check(f"a first session {version}", answer.answered and not answer.resumed and answer.tickets > 0, answer.text)
        check(f"its ticket is good for twelve hours {version}", "lifetime hint: 43200" in answer.text, answer.text)
        check(f"no early data {version}", "Max Early Data: 0" in answer.text or version == "-tls1_2", answer.text)
        answer = edge.s_client(version, "-sess_in", saved, "-sess_out", saved)
        check(f"it is taken up {version}", answer.answered and answer.resumed, answer.text)
    answer = edge.s_client("-tls1_2", "-reconnect", send=b"")
    check("five times again", answer.text.count("\nReused, ") == 5, answer.text)
    # Of a session that was not made here.
    broken = (edge.folder / "session-tls1_3").read_text().splitlines()
    middle = len(broken) // 2
    broken[middle] = broken[middle][::-1]
    (edge.folder / "broken").write_text("\n".join(broken) + "\n")
    answer = edge.s_client("-tls1_3", "-sess_in", edge.folder / "broken")
    check("a broken ticket is none", not answer.resumed, answer.text)


def ask(connection):
    """One request on a connection that goes on."""
    connection.request("GET", "/nothing")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def reload(edge):
    reloads, failures = "skerry_tls_certificate_reloads_total", "skerry_tls_certificate_reload_failures_total"
    saved = {}
    for version in ("-tls1_3", "-tls1_2"):
        saved[version] = edge.folder / f"before{version}"
        edge.s_client(version, "-sess_out", saved[version])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    standing = http.client.HTTPSConnection("127.0.0.1", edge.port, context=context, timeout=10)
    check("a connection that stands", ask(standing) == 404)

    expiry = edge.metric("skerry_tls_certificate_expiry_seconds", "first.pem")
    check("the end of the certificate is told", expiry and abs(expiry - time.time() - 30 * 86400) < 600, expiry)
    count = edge.metric(reloads)
    certify(edge.folder, "first", "renewed", ["first.example", "www.first.example"], days=90)
    check("newer files are read", edge.wait_for(reloads, count + 1))
    # The key came after its certificate: in between the two did not fit, and the old ones stayed.
    deadline = time.monotonic() + 10
    while edge.s_client().name != "renewed" and time.monotonic() < deadline:
        time.sleep(0.1)
    answer = edge.s_client()
    check("and shown", answer.answered and answer.name == "renewed", answer.text)
    expiry = edge.metric("skerry_tls_certificate_expiry_seconds", "first.pem")
    check("its end is told", expiry and abs(expiry - time.time() - 90 * 86400) < 600, expiry)
    check("the connection goes on", ask(standing) == 404)
    for version, path in saved.items():
        check(f"tickets stay good {version}", edge.s_client(version, "-sess_in", path).resumed)

    count = edge.metric(reloads)
    edge.process.send_signal(signal.SIGHUP)
    check("SIGHUP reads them again", edge.wait_for(reloads, count + 1) and edge.process.poll() is None)

    whole = (edge.folder / "first.pem").read_bytes()
    for title, change, restore in (
            ("no certificate", lambda path: path.write_bytes(b"nothing"), lambda path: path.write_bytes(whole)),
            ("half a certificate", lambda path: path.write_bytes(whole[:len(whole) // 2]), lambda path: path.write_bytes(whole)),
            ("no file", lambda path: path.rename(path.with_suffix(".away")), lambda path: path.with_suffix(".away").rename(path))):
        bad, good = edge.metric(failures), edge.metric(reloads)
        change(edge.folder / "first.pem")
        check(f"{title} is noticed", edge.wait_for(failures, bad + 1))
        answer = edge.s_client()
        check(f"{title} leaves the old one", answer.answered and answer.name == "renewed", answer.text)
        restore(edge.folder / "first.pem")
        check(f"{title}: put right", edge.wait_for(reloads, good + 1))
    bad = edge.metric(failures)
    os.chmod(edge.folder / "first.key", 0o644)
    edge.process.send_signal(signal.SIGHUP)
    check("a key that others can read is refused", edge.wait_for(failures, bad + 1))
    os.chmod(edge.folder / "first.key", 0o600)
    log = edge.log.read_text()
    check("the log says what to do", "the old certificates stay" in log and "chmod 600" in log, log[-2000:])
    check("and holds no key", "PRIVATE KEY" not in log)
    check("the connection still stands", ask(standing) == 404)
    standing.close()

    edge.stop()
    edge.start()
    for version, path in saved.items():
        answer = edge.s_client(version, "-sess_in", path)
        check(f"keys end with the process {version}", answer.answered and not answer.resumed, answer.text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev", default="var/dev.json")
    options = parser.parse_args()
    with open(options.dev) as file:
        dev = json.load(file)
    with tempfile.TemporaryDirectory(prefix="skerry-tls-") as name:
        folder = pathlib.Path(name)
        certify(folder, "first", "first", ["first.example", "www.first.example"])
        certify(folder, "first-rsa", "first-rsa", ["www.first.example", "first.example"], key=("-newkey", "rsa:2048"))
        certify(folder, "wildcard", "wildcard", ["*.second.example"])
        edge = Edge(dev, folder)
        try:
            names(edge)
            versions_and_ciphers(edge)
            protocols(edge)
            resumption(edge)
            reload(edge)
        finally:
            check("ends cleanly", edge.stop() == 0)
            edge.config.write_text(edge.original)
    finish()


if __name__ == "__main__":
    main()
