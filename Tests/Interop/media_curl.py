#!/usr/bin/env python3
"""Media by curl: upload, ranges, conditions, HEAD, Expect: 100-continue, an aborted upload, a stranger.

usage: media_curl.py [--dev var/dev.json]

Needs curl and two edges. Exits non-zero if anything is not right.
"""
import argparse
import base64
import hashlib
import json
import os
import subprocess
import tempfile
import time

from lib_checks import check, finish


class Answer:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields
        self.body = body

    def __repr__(self):
        return f"{self.status} {self.fields} {self.body[:300]}"


def curl(*arguments):
    """Runs curl and returns the last answer of the exchange (100 Continue comes before it)."""
    with tempfile.NamedTemporaryFile() as head:
        run = subprocess.run(["curl", "-sS", "-m", "60", "-D", head.name, *arguments], capture_output=True)
        lines = head.read().decode("latin-1").split("\r\n")
    if run.returncode != 0:
        return Answer(0, {}, run.stderr)
    starts = [index for index, line in enumerate(lines) if line.startswith("HTTP/")]
    fields = {}
    for line in lines[starts[-1] + 1:]:
        name, _, value = line.partition(":")
        if value:
            fields[name.lower()] = value.strip()
    return Answer(int(lines[starts[-1]].split()[1]), fields, run.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev", default="var/dev.json")
    options = parser.parse_args()
    with open(options.dev) as file:
        dev = json.load(file)
    first = dev["edges"][0]["http"].rstrip("/")
    second = dev["edges"][1 if len(dev["edges"]) > 1 else 0]["http"].rstrip("/")
    alice = ["-H", "Authorization: Bearer " + dev["tokens"]["alice"]]
    bob = ["-H", "Authorization: Bearer " + dev["tokens"]["bob"]]
    tus = ["-H", "Tus-Resumable: 1.0.0"]

    with tempfile.TemporaryDirectory() as folder:
        data = os.urandom(3_000_000)
        path = os.path.join(folder, "data")
        with open(path, "wb") as file:
            file.write(data)
        identity = hashlib.sha256(data).hexdigest()
        digest = "sha-256=:" + base64.b64encode(hashlib.sha256(data).digest()).decode() + ":"

        answer = curl("-X", "OPTIONS", first + "/media/uploads")
        check("OPTIONS lists the extensions", answer.status == 204
              and answer.fields.get("tus-extension") == "creation,creation-with-upload,termination", answer)

        answer = curl(*alice, "--data-binary", "@" + path, "-H", "Expect: 100-continue", "-H", "Repr-Digest: " + digest,
                      "-H", "Content-Type: application/octet-stream", first + "/media/uploads")
        check("plain POST with Expect: 100-continue", answer.status == 201 and answer.fields.get("media-id") == identity, answer)
        media = "/media/" + identity

        answer = curl(*alice, "--data-binary", "@" + path, "-H", "Repr-Digest: sha-256=:" + base64.b64encode(bytes(32)).decode() + ":",
                      first + "/media/uploads")
        check("wrong Repr-Digest is 422", answer.status == 422 and b"digest-mismatch" in answer.body, answer)

        answer = curl("--data-binary", "@" + path, "-H", "Expect: 100-continue", first + "/media/uploads")
        check("no token is 401", answer.status == 401 and "www-authenticate" in answer.fields, answer)

        answer = curl(*alice, second + media)
        check("fetched at the other edge", answer.status == 200 and answer.body == data, answer.status)
        check("headers", answer.fields.get("etag") == f'"{identity}"' and answer.fields.get("repr-digest") == digest
              and answer.fields.get("x-content-type-options") == "nosniff" and "immutable" in answer.fields.get("cache-control", "")
              and answer.fields.get("accept-ranges") == "bytes", answer.fields)

        for name, range_field, slice_, content in [
            ("first bytes", "0-99", data[:100], f"bytes 0-99/{len(data)}"),
            ("over chunks", "65530-131080", data[65530:131081], f"bytes 65530-131080/{len(data)}"),
            ("open end", "2999990-", data[2999990:], f"bytes 2999990-2999999/{len(data)}"),
            ("suffix", "-7", data[-7:], f"bytes 2999993-2999999/{len(data)}"),
        ]:
            answer = curl(*alice, "-r", range_field, second + media)
            check("range: " + name, answer.status == 206 and answer.body == slice_
                  and answer.fields.get("content-range") == content, answer.fields)

        answer = curl(*alice, "-r", "0-9,1000000-1000009", second + media)
        check("several ranges", answer.status == 206 and data[:10] in answer.body and data[1000000:1000010] in answer.body
              and answer.fields["content-type"].startswith("multipart/byteranges"), answer.fields)
        answer = curl(*alice, "-r", "3000000-", second + media)
        check("416", answer.status == 416 and answer.fields.get("content-range") == f"bytes */{len(data)}", answer)
        answer = curl(*alice, "-H", f'If-None-Match: "{identity}"', second + media)
        check("304", answer.status == 304 and answer.body == b"", answer)
        answer = curl(*alice, "-H", 'If-Range: "other"', "-r", "0-9", second + media)
        check("If-Range of another is the whole", answer.status == 200 and len(answer.body) == len(data), answer.status)
        answer = curl(*alice, "-I", second + media)
        check("HEAD", answer.status == 200 and answer.fields.get("content-length") == str(len(data)), answer)

        part = os.path.join(folder, "part")
        with open(part, "wb") as file:
            file.write(data[:1_234_567])
        answer = curl(*alice, "-C", "-", "-o", part, second + media)
        with open(part, "rb") as file:
            check("curl resumes a download", file.read() == data, answer)

        answer = curl(*bob, second + media)
        absent = curl(*bob, second + "/media/" + "0" * 64)
        check("not yours is 404, the same as absent", answer.status == 404 and answer.body == absent.body, answer)
        answer = curl(*alice, "-X", "POST", "-d", '{"users":["bob"],"expires_in_s":60}', first + media + "/grants")
        check("grant", answer.status == 204, answer)
        answer = curl(*bob, first + media)
        check("granted", answer.status == 200 and answer.body == data, answer.status)

        # An upload that is cut off keeps what came in, and goes on there.
        answer = curl(*alice, *tus, "-X", "POST", "-H", f"Upload-Length: {len(data)}", first + "/media/uploads")
        check("creation", answer.status == 201, answer)
        location = first + answer.fields["location"]
        patch = [*tus, "-X", "PATCH", "-H", "Content-Type: application/offset+octet-stream"]
        curl(*alice, *patch, "-H", "Upload-Offset: 0", "--limit-rate", "1M", "-m", "1", "--data-binary", "@" + path, location)
        time.sleep(0.2)
        answer = curl(*alice, *tus, "-I", location)
        offset = int(answer.fields.get("upload-offset", -1))
        check("an aborted PATCH keeps bytes", 0 < offset < len(data), answer)
        answer = curl(*bob, *tus, "-I", location)
        check("another's upload is 404", answer.status == 404, answer)
        answer = curl(*alice, *patch, "-H", "Upload-Offset: 7", "--data-binary", "x", location)
        check("wrong offset is 409", answer.status == 409 and answer.fields.get("upload-offset") == str(offset), answer)
        with open(part, "wb") as file:
            file.write(data[offset:])
        answer = curl(*alice, *patch, "-H", f"Upload-Offset: {offset}", "--data-binary", "@" + part, location)
        check("the rest finishes it", answer.status == 204 and answer.fields.get("media-id") == identity, answer)

        answer = curl(*alice, "--data-binary", "@" + path, first + "/media/uploads?mode=sealed&retention=24h")
        check("sealed", answer.status == 201, answer)
        sealed = os.path.join(folder, "sealed")
        with open(sealed, "wb") as file:
            file.write(os.urandom(200_000))
        answer = curl(*alice, "--data-binary", "@" + sealed, first + "/media/uploads?mode=sealed&retention=24h")
        with open(sealed, "rb") as file:
            bytes_ = file.read()
        location = answer.fields.get("media-location", "")
        answer = curl(*bob, "-r", "65000-70000", second + location)
        check("sealed range at the other edge, by who knows the id", answer.status == 206 and answer.body == bytes_[65000:70001], answer)
        answer = curl(*alice, second + location + "/thumbnail")
        check("sealed has no thumbnail", answer.status == 404 and b"sealed-media" in answer.body, answer)

        answer = curl(*alice, "-X", "DELETE", first + location)
        check("release", answer.status == 204, answer)

    finish()


if __name__ == "__main__":
    main()
