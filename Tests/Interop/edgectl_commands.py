#!/usr/bin/env python3
"""edgectl as people call it: every command, an upload killed and resumed, exit statuses, JSON.

usage: edgectl_commands.py [--dev var/dev.json]

Takes edgectl from the folder SKERRY_BUILD, or from .build/release. Exits non-zero if anything is not right.
"""
import argparse
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import urllib.request

from lib_checks import check, finish


class Edgectl:
    def __init__(self, dev, home):
        self.program = str(pathlib.Path(os.environ.get("SKERRY_BUILD", ".build/release")).resolve() / "edgectl")
        self.dev = dev
        self.home = home
        self.environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
        # What programs built with a sanitizer need (Scripts/test --asan, --tsan).
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "LD_PRELOAD", "SWIFT_BACKTRACE"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def start(self, *arguments):
        return subprocess.Popen(
            [self.program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment, cwd=self.home)

    def run(self, *arguments, timeout=60):
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        return process.returncode, out, err

    def json(self, *arguments):
        status, out, err = self.run(*arguments, "--dev", self.dev, "--json")
        if status != 0:
            return {"error": err}
        return json.loads(out)


def check_usage(edgectl):
    for words, status, text in [
            (["--help"], 0, "upload"), (["upload", "--help"], 0, "--retention"), (["message", "send", "--help"], 0, "--to"),
            (["uplaod"], 2, "did you mean 'upload'"), (["upload"], 2, "FILE is missing"),
            (["fetch", "x", "--outptu", "y"], 2, "did you mean '--output'"),
            (["fetch", "x"], 2, "64 hexadecimal digits"), ([], 2, "usage: edgectl COMMAND"),
            (["upload", "/no/such/file", "--dev", edgectl.dev], 1, "/no/such/file"),
            (["status", "list", "--url", "http://127.0.0.1:1"], 1, "no token")]:
        got, out, err = edgectl.run(*words)
        check(f"edgectl {' '.join(words)} ends with {status}", got == status and text in out + err, (got, out, err))


def check_media(edgectl, folder):
    big = folder / "big.bin"
    content = os.urandom(120_000_000)
    big.write_bytes(content)
    media = hashlib.sha256(content).hexdigest()
    states = edgectl.home / ".local/state/skerry/uploads"
    upload = edgectl.start("upload", big, "--dev", edgectl.dev)
    # It is remembered once the server has taken it in; then some bytes are on their way.
    deadline = time.monotonic() + 20
    while not (states.exists() and list(states.glob("*.json"))) and upload.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.15)
    upload.send_signal(signal.SIGKILL)
    upload.communicate()
    was_killed = upload.returncode == -signal.SIGKILL
    result = edgectl.json("upload", big)
    check("an upload that was killed goes on", was_killed and result.get("resumed_at_bytes", 0) > 0, (upload.returncode, result))
    check("its id is its SHA-256", result.get("media") == media, result)
    check("its state is removed", not list(states.glob("*.json")))

    copy = folder / "copy.bin"
    result = edgectl.json("fetch", media, "--edge", "1", "--output", copy)
    check("fetched at the other edge", copy.exists() and copy.read_bytes() == content, result)
    status, _, err = edgectl.run("fetch", media, "--as", "bob", "--dev", edgectl.dev, "--output", folder / "stolen")
    check("a stranger gets 404", status == 1 and "404" in err and not (folder / "stolen").exists(), err)

    signed = edgectl.json("sign", media, "--ttl", "60s").get("path", "")
    result = edgectl.json("fetch", signed, "--as", "bob", "--output", folder / "signed.bin")
    check("a signed path needs no token", result.get("size_bytes") == len(content), result)
    forged = signed.replace(signed.split(".")[2][:4], "AAAA", 1)
    status, _, err = edgectl.run("fetch", forged, "--dev", edgectl.dev, "--output", folder / "forged.bin")
    check("a forged one is refused", status == 1 and not (folder / "forged.bin").exists(), err)

    photo = folder / "photo.png"
    subprocess.run(
        ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=800x600", "-frames:v", "1",
         str(photo)], check=True)
    media = edgectl.json("upload", photo).get("media", "")
    result = edgectl.json("fetch", media, "--thumbnail", "320", "--edge", "1", "--output", folder / "small.webp")
    small = folder / "small.webp"
    check("a thumbnail in WebP", small.exists() and small.read_bytes()[8:12] == b"WEBP", result)


def check_people(edgectl):
    sent = edgectl.json("message", "send", "--to", "bob", "one")
    sent2 = edgectl.json("message", "send", "--to", "bob", "two", "--class", "message")
    status, out, err = edgectl.run("message", "listen", "--as", "bob", "--count", "2", "--edge", "1", "--dev", edgectl.dev, "--json")
    frames = [json.loads(line) for line in out.splitlines()]
    ids = [frame["id"] for frame in frames if frame["type"] == "deliver"]
    check("messages wait, and come in order", status == 0 and ids == [sent.get("id"), sent2.get("id")], (sent, sent2, out, err))
    posted = edgectl.json("status", "post", "--audience", "bob,carol", "--text", "hello", "--expires", "60s")
    listed = edgectl.json("status", "list", "--as", "carol", "--edge", "1")
    check("a status is listed at the other edge", [item["status"] for item in listed] == [posted.get("id")], (posted, listed))
    edgectl.json("status", "delete", posted.get("id", ""))
    check("a deleted one is gone", edgectl.json("status", "list", "--as", "carol") == [])
    call = edgectl.json("call", "--duration", "2s")
    ends = call.get("ends", [])
    check(
        "a relayed call", len(ends) == 2 and all(end["packets_received"] == 100 and end["packets_lost"] == 0 for end in ends), call)


def check_operations(edgectl, dev, folder):
    token = edgectl.json("token", "--user", "dave", "--device", "tablet", "--ttl", "5m").get("token", "")
    request = urllib.request.Request(dev["edges"][0]["http"] + "/calls/ice-servers", headers={"Authorization": "Bearer " + token})
    with urllib.request.urlopen(request, timeout=5) as answer:
        check("a minted token is accepted", answer.status == 200)
    for kind, path in [("edge-central", dev["config"]["central"]), ("edge-node", dev["config"]["edges"][0])]:
        status, out, err = edgectl.run("config", "check", path)
        check(f"the configuration of {kind} is good", status == 0 and kind in out, out + err)
    wrong = folder / "wrong.yaml"
    wrong.write_text(pathlib.Path(dev["config"]["edges"][0]).read_text() + "no_such_key: 1\n")
    status, out, err = edgectl.run("config", "check", wrong)
    check("an unknown key is named", status == 1 and "no_such_key" in err, out + err)

    status, out, err = edgectl.run(
        "enroll", "token", "--config", dev["config"]["central"], "--region", "elsewhere", "--name", "edge-9")
    central = dev["central"]["api"].split("://")[1]
    node = ["enroll", "node", "--central", central, "--token", out.strip(), "--output", folder / "tls"]
    first, again = edgectl.run(*node), edgectl.run(*node[:-1], folder / "tls2")
    check("a node is enrolled", status == 0 and first[0] == 0 and "skerry://skerry/elsewhere/edge-9" in first[1], (err, first))
    check("its token is good once", again[0] == 1 and "token" in again[2], again)
    verify = subprocess.run(
        ["openssl", "verify", "-CAfile", folder / "tls/ca.pem", folder / "tls/node.pem"], capture_output=True, text=True)
    check("its certificate is the authority's", verify.returncode == 0, verify.stderr)
    check("its key is its own", (folder / "tls/node.key").stat().st_mode & 0o777 == 0o600)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev", default="var/dev.json")
    path = pathlib.Path(parser.parse_args().dev).resolve()
    dev = json.loads(path.read_text())
    with tempfile.TemporaryDirectory(prefix="skerry-edgectl-") as name:
        folder = pathlib.Path(name)
        home = folder / "home"
        home.mkdir()
        edgectl = Edgectl(str(path), home)
        check_usage(edgectl)
        check_media(edgectl, folder)
        check_people(edgectl)
        check_operations(edgectl, dev, folder)
    finish()


main()
