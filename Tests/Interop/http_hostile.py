#!/usr/bin/env python3
"""Malformed and hostile requests over bare sockets, each with the answer it has to get (RFC 9112).

Every request that has to be refused is followed, in the same bytes, by a good one: exactly one answer may come, of the expected
status, and then the end of the connection. Each is sent whole, and again byte by byte. The cases of the first table run against the
echo server and, with the paths of one, against an edge-node.

usage: http_hostile.py [--dev var/dev.json] [--only WORDS] [--port PORT]
"""
import argparse
import json
import time
import urllib.parse

from lib_checks import check, finish
from lib_echo import echo_server
from lib_raw import Broken, Connection, parse_answers


class Target:
    """Where the cases are sent: a port, and paths that answer there as the table expects."""

    def __init__(self, name, port, get, post, canary):
        self.name, self.port = name, port
        # A path for GET, one that takes a body by POST, and a whole good request.
        self.get, self.post, self.canary = get, post, canary


def get(line=b"GET /bytes/7 HTTP/1.1", fields=b"Host: a\r\n", body=b""):
    return line + b"\r\n" + fields + b"\r\n" + body


def post(fields, body=b"", line=b"POST /echo HTTP/1.1"):
    return line + b"\r\nHost: a\r\n" + fields + b"\r\n" + body


def chunked(body, fields=b""):
    return post(b"Transfer-Encoding: chunked\r\n" + fields, body)


L, T, B = b"POST /echo HTTP/1.1\r\nHost: a\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"

# name, bytes, status. What follows them on the connection must not be answered.
REFUSED = {
    "request line": [
        ("bare LF at every line", b"GET /bytes/7 HTTP/1.1\nHost: a\n\n", 400),
        ("bare LF behind the request line", b"GET /bytes/7 HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("bare CR behind the request line", b"GET /bytes/7 HTTP/1.1\rHost: a\r\n\r\n", 400),
        ("CR CR LF", b"GET /bytes/7 HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
        ("LF CR", b"GET /bytes/7 HTTP/1.1\n\rHost: a\r\n\r\n", 400),
        ("CR in the target", get(b"GET /by\rtes/7 HTTP/1.1"), 400),
        ("two spaces behind the method", get(b"GET  /bytes/7 HTTP/1.1"), 400),
        ("two spaces before the version", get(b"GET /bytes/7  HTTP/1.1"), 400),
        ("space behind the version", get(b"GET /bytes/7 HTTP/1.1 "), 400),
        ("tab behind the method", get(b"GET\t/bytes/7 HTTP/1.1"), 400),
        ("tab before the version", get(b"GET /bytes/7\tHTTP/1.1"), 400),
        ("space before the method", get(b" GET /bytes/7 HTTP/1.1"), 400),
        ("tab before the method", get(b"\tGET /bytes/7 HTTP/1.1"), 400),
        ("form feed between the parts", get(b"GET\x0c/bytes/7\x0cHTTP/1.1"), 400),
        ("NUL in the method", get(b"G\0ET /bytes/7 HTTP/1.1"), 400),
        ("NUL in the target", get(b"GET /bytes/7\0 HTTP/1.1"), 400),
        ("a method that is no token", get(b"G(T /bytes/7 HTTP/1.1"), 400),
        ("8-bit in the method", get(b"G\xc9T /bytes/7 HTTP/1.1"), 400),
        ("no method", get(b"/bytes/7 HTTP/1.1"), 400),
        ("no target", get(b"GET HTTP/1.1"), 400),
        ("an empty target", get(b"GET  HTTP/1.1"), 400),
        ("the method alone", b"GET\r\n\r\n", 400),
        ("HTTP/0.9", b"GET /bytes/7\r\n", 400),
        ("HTTP/0.9 by name", get(b"GET /bytes/7 HTTP/0.9"), 505),
        ("HTTP/2.0", get(b"GET /bytes/7 HTTP/2.0"), 505),
        ("HTTP/3.0", get(b"GET /bytes/7 HTTP/3.0"), 505),
        ("HTTP/1", get(b"GET /bytes/7 HTTP/1"), 400),
        ("HTTP/1.10", get(b"GET /bytes/7 HTTP/1.10"), 400),
        ("HTTP/11.1", get(b"GET /bytes/7 HTTP/11.1"), 400),
        ("HTTP/01.1", get(b"GET /bytes/7 HTTP/01.1"), 400),
        ("HTTP/1.x", get(b"GET /bytes/7 HTTP/1.x"), 400),
        ("HTTP/+1.1", get(b"GET /bytes/7 HTTP/+1.1"), 400),
        ("lower-case version", get(b"GET /bytes/7 http/1.1"), 400),
        ("HTTPS/1.1", get(b"GET /bytes/7 HTTPS/1.1"), 400),
        ("two versions", get(b"GET /bytes/7 HTTP/1.1 HTTP/1.1"), 400),
        ("a space in the target", get(b"GET /by tes/7 HTTP/1.1"), 400),
        ("a fragment", get(b"GET /bytes/7#x HTTP/1.1"), 400),
        ("8-bit in the target", get(b"GET /bytes/\xe9 HTTP/1.1"), 400),
        ("DEL in the target", get(b"GET /bytes/\x7f HTTP/1.1"), 400),
        ("a control character in the target", get(b"GET /bytes/\x01 HTTP/1.1"), 400),
        ("a target without slash", get(b"GET bytes/7 HTTP/1.1"), 400),
        ("backslashes", get(b"GET \\bytes\\7 HTTP/1.1"), 400),
        ("user information in the absolute form", get(b"GET http://u:p@a/bytes/7 HTTP/1.1"), 400),
        ("the absolute form of another scheme", get(b"GET ftp://a/bytes/7 HTTP/1.1"), 400),
        ("the absolute form without host", get(b"GET http:///bytes/7 HTTP/1.1"), 400),
        ("the absolute form with a port that is none", get(b"GET http://a:x/bytes/7 HTTP/1.1"), 400),
        ("the absolute form hides a bad Host", get(b"GET http://a/bytes/7 HTTP/1.1", b"Host: a b\r\n"), 400),
        ("the authority form with GET", get(b"GET a:80 HTTP/1.1"), 400),
        ("CONNECT", get(b"CONNECT a:80 HTTP/1.1"), 400),
        ("an asterisk with GET", get(b"GET * HTTP/1.1"), 400),
        ("two empty lines first", b"\r\n\r\n" + get(), 400),
        ("an empty line with LF first", b"\n" + get(), 400),
        ("a CR first", b"\r" + get(), 400),
        ("a target too long", get(b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 414),
        ("a request line without end", b"GET /" + b"a" * 40000, 414),
        ("a banner of SSH", b"SSH-2.0-OpenSSH_9.2\r\n", 400),
        ("a greeting of SMTP", b"EHLO example.net\r\n", 400),
        ("a status line", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 400),
        ("random bytes", bytes(range(128, 256)) + b"\r\n", 400),
    ],
    "fields": [
        ("a line folded with a space", get(fields=b"Host: a\r\nX: y\r\n z\r\n"), 400),
        ("a line folded with a tab", get(fields=b"Host: a\r\nX: y\r\n\tz\r\n"), 400),
        ("a folded Host", get(fields=b"Host:\r\n a\r\n"), 400),
        ("the first line folded", get(fields=b" Host: a\r\n"), 400),
        ("a line of one space", get(fields=b"Host: a\r\n \r\n"), 400),
        ("space before the colon", get(fields=b"Host: a\r\nX : y\r\n"), 400),
        ("tab before the colon", get(fields=b"Host: a\r\nX\t: y\r\n"), 400),
        ("space before the colon of Host", get(fields=b"Host : a\r\n"), 400),
        ("an empty name", get(fields=b"Host: a\r\n: y\r\n"), 400),
        ("no colon", get(fields=b"Host: a\r\nnothing\r\n"), 400),
        ("a space in a name", get(fields=b"Host: a\r\nX Y: z\r\n"), 400),
        ("NUL in a name", get(fields=b"Host: a\r\nX\0: y\r\n"), 400),
        ("8-bit in a name", get(fields=b"Host: a\r\nX\xe9: y\r\n"), 400),
        ("a separator in a name", get(fields=b"Host: a\r\nX@Y: z\r\n"), 400),
        ("a control character in a name", get(fields=b"Host: a\r\nX\x01: y\r\n"), 400),
        ("NUL in a value", get(fields=b"Host: a\r\nX: a\0b\r\n"), 400),
        ("a control character in a value", get(fields=b"Host: a\r\nX: a\x01b\r\n"), 400),
        ("DEL in a value", get(fields=b"Host: a\r\nX: a\x7fb\r\n"), 400),
        ("vertical tab in a value", get(fields=b"Host: a\r\nX: a\x0bb\r\n"), 400),
        ("form feed in a value", get(fields=b"Host: a\r\nX: a\x0cb\r\n"), 400),
        ("escape in a value", get(fields=b"Host: a\r\nX: \x1b[31m\r\n"), 400),
        ("a bare CR in a value", get(fields=b"Host: a\r\nX: a\rY: b\r\n"), 400),
        ("a bare LF in a value", get(fields=b"Host: a\r\nX: a\nY: b\r\n"), 400),
        ("a bare LF ends the head", b"GET /bytes/7 HTTP/1.1\r\nHost: a\r\n\n", 400),
        ("a bare CR ends the head", b"GET /bytes/7 HTTP/1.1\r\nHost: a\r\n\r\r", 400),
        ("too many fields", get(fields=b"Host: a\r\n" + b"X: y\r\n" * 100), 431),
        ("fields too large", get(fields=b"Host: a\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"y" * 900) for n in range(40))), 431),
        ("a field too large", get(fields=b"Host: a\r\nX: " + b"y" * 40000 + b"\r\n"), 431),
        ("a field name without end", b"GET /bytes/7 HTTP/1.1\r\nHost: a\r\n" + b"X" * 40000, 431),
        ("no Host", get(fields=b""), 400),
        ("no Host in HTTP/1.2", get(b"GET /bytes/7 HTTP/1.2", b""), 400),
        ("the same Host twice", get(fields=b"Host: a\r\nHost: a\r\n"), 400),
        ("two Hosts", get(fields=b"Host: a\r\nhost: b\r\n"), 400),
        ("two Hosts in HTTP/1.0", get(b"GET /bytes/7 HTTP/1.0", b"Host: a\r\nHost: b\r\n"), 400),
        ("an empty Host", get(fields=b"Host:\r\n"), 400),
        ("a list of Hosts", get(fields=b"Host: a, b\r\n"), 400),
        ("a space in Host", get(fields=b"Host: a b\r\n"), 400),
        ("a path in Host", get(fields=b"Host: a/b\r\n"), 400),
        ("user information in Host", get(fields=b"Host: u@a\r\n"), 400),
        ("a query in Host", get(fields=b"Host: a?b\r\n"), 400),
        ("a port that is none in Host", get(fields=b"Host: a:8x\r\n"), 400),
        ("a port too large in Host", get(fields=b"Host: a:65536\r\n"), 400),
        ("a port alone as Host", get(fields=b"Host: :80\r\n"), 400),
        ("two ports in Host", get(fields=b"Host: a:80:81\r\n"), 400),
        ("a broken IPv6 address in Host", get(fields=b"Host: [::1\r\n"), 400),
        ("8-bit in Host", get(fields=b"Host: \xe9\r\n"), 400),
        ("an unknown expectation", post(b"Content-Length: 5\r\nExpect: 200-ok\r\n", b"hello"), 417),
        ("two expectations", post(b"Content-Length: 5\r\nExpect: 100-continue, x\r\n", b"hello"), 417),
    ],
    "smuggling": [
        ("Content-Length twice, the same", post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), 400),
        ("Content-Length twice, different", post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"), 400),
        ("Content-Length in two spellings", post(b"Content-Length: 5\r\ncontent-length: 0\r\n", b"hello"), 400),
        ("Content-Length as a list, the same", post(b"Content-Length: 5, 5\r\n", b"hello"), 400),
        ("Content-Length as a list, different", post(b"Content-Length: 5, 0\r\n", b"hello"), 400),
        ("Content-Length with a comma", post(b"Content-Length: 5,\r\n", b"hello"), 400),
        ("Content-Length with plus", post(b"Content-Length: +5\r\n", b"hello"), 400),
        ("Content-Length with minus", post(b"Content-Length: -5\r\n", b"hello"), 400),
        ("Content-Length minus zero", post(b"Content-Length: -0\r\n"), 400),
        ("Content-Length in hexadecimal", post(b"Content-Length: 0x5\r\n", b"hello"), 400),
        ("Content-Length with a letter", post(b"Content-Length: 5b\r\n", b"hello"), 400),
        ("Content-Length with an exponent", post(b"Content-Length: 5e0\r\n", b"hello"), 400),
        ("Content-Length with a point", post(b"Content-Length: 5.0\r\n", b"hello"), 400),
        ("Content-Length with an underscore", post(b"Content-Length: 1_0\r\n", b"helloworld"), 400),
        ("Content-Length with a space inside", post(b"Content-Length: 5 5\r\n", b"hello"), 400),
        ("Content-Length in quotes", post(b'Content-Length: "5"\r\n', b"hello"), 400),
        ("Content-Length empty", post(b"Content-Length:\r\n", b"hello"), 400),
        ("Content-Length of blanks", post(b"Content-Length:  \t \r\n", b"hello"), 400),
        ("Content-Length beyond 63 bits", post(b"Content-Length: 9223372036854775808\r\n", b"hello"), 400),
        ("Content-Length beyond 64 bits", post(b"Content-Length: 18446744073709551621\r\n", b"hello"), 400),
        ("Content-Length of 300 digits", post(b"Content-Length: " + b"0" * 299 + b"5\r\n", b"hello"), 400),
        ("Content-Length with NUL", post(b"Content-Length: 5\0\r\n", b"hello"), 400),
        ("Content-Length with vertical tab", post(b"Content-Length: \x0b5\r\n", b"hello"), 400),
        ("Content-Length in other digits", post("Content-Length: \u0665\r\n".encode(), b"hello"), 400),
        ("Content-Length twice on GET", get(fields=b"Host: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n", body=b"hello"), 400),
        ("a space before the colon of Content-Length", post(b"Content-Length : 5\r\n", b"hello"), 400),
        ("Content-Length, then Transfer-Encoding", L + b"Content-Length: 5\r\n" + T + b"\r\n" + B, 400),
        ("Transfer-Encoding, then Content-Length", L + T + b"Content-Length: 5\r\n\r\n" + B, 400),
        ("Transfer-Encoding and Content-Length: 0", L + T + b"Content-Length: 0\r\n\r\n" + B, 400),
        ("Transfer-Encoding and a Content-Length that is none", L + T + b"Content-Length: x\r\n\r\n" + B, 400),
        ("Transfer-Encoding twice", L + T + T + b"\r\n" + B, 501),
        ("chunked twice in one field", L + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + B, 501),
        ("chunked, then identity", L + b"Transfer-Encoding: chunked, identity\r\n\r\n" + B, 501),
        ("chunked, then identity in another line", L + T + b"Transfer-Encoding: identity\r\n\r\n" + B, 501),
        ("identity, then chunked", L + b"Transfer-Encoding: identity, chunked\r\n\r\n" + B, 501),
        ("identity", L + b"Transfer-Encoding: identity\r\n\r\n" + B, 501),
        ("gzip", L + b"Transfer-Encoding: gzip\r\n\r\n" + B, 501),
        ("gzip, then chunked", L + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + B, 501),
        ("xchunked", L + b"Transfer-Encoding: xchunked\r\n\r\n" + B, 501),
        ("chunkedx", L + b"Transfer-Encoding: chunkedx\r\n\r\n" + B, 501),
        ("chunked with a parameter", L + b"Transfer-Encoding: chunked;q=1\r\n\r\n" + B, 501),
        ("chunked in quotes", L + b'Transfer-Encoding: "chunked"\r\n\r\n' + B, 501),
        ("chunked in single quotes", L + b"Transfer-Encoding: 'chunked'\r\n\r\n" + B, 501),
        ("chunked behind a comma", L + b"Transfer-Encoding: ,chunked\r\n\r\n" + B, 501),
        ("chunked before a comma", L + b"Transfer-Encoding: chunked,\r\n\r\n" + B, 501),
        ("an empty Transfer-Encoding", L + b"Transfer-Encoding:\r\n\r\n" + B, 501),
        ("an empty Transfer-Encoding beside Content-Length", L + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", 400),
        ("chunked behind a vertical tab", L + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + B, 400),
        ("chunked before a form feed", L + b"Transfer-Encoding: chunked\x0c\r\n\r\n" + B, 400),
        ("chunked with NUL", L + b"Transfer-Encoding: chunked\0\r\n\r\n" + B, 400),
        ("chunked behind no-break space", L + b"Transfer-Encoding: \xa0chunked\r\n\r\n" + B, 501),
        ("chunked with a Kelvin sign", L + "Transfer-Encoding: chun\u212aed\r\n\r\n".encode() + B, 501),
        ("chunked on a folded line", L + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + B, 400),
        ("a space before the colon of Transfer-Encoding", L + b"Transfer-Encoding : chunked\r\n\r\n" + B, 400),
        ("a space before Transfer-Encoding", b"POST /echo HTTP/1.1\r\nHost: a\r\nX: y\r\n " + T + b"\r\n" + B, 400),
        ("Transfer-Encoding behind a bare CR", L + b"X: y\r" + T + b"\r\n" + B, 400),
        ("Transfer-Encoding behind a bare LF", L + b"X: y\n" + T + b"\r\n" + B, 400),
        ("Transfer-Encoding in HTTP/1.0", b"POST /echo HTTP/1.0\r\nHost: a\r\n" + T + b"\r\n" + B, 400),
        ("Transfer-Encoding in HTTP/1.0, kept alive", b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\n" + T + b"\r\n" + B, 400),
        ("Transfer-Encoding and Content-Length in HTTP/1.0",
         b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n" + T + b"\r\n" + B, 400),
    ],
    # These reach the handler, which reads a body that turns out to be broken.
    "chunks": [
        ("no size", chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
        ("a size that is none", chunked(b"g\r\nhello\r\n0\r\n\r\n"), 400),
        ("a negative size", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), 400),
        ("a size with plus", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
        ("a size with 0x", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
        ("a size with an underscore", chunked(b"0_5\r\nhello\r\n0\r\n\r\n"), 400),
        ("a space before the size", chunked(b" 5\r\nhello\r\n0\r\n\r\n"), 400),
        ("a space behind the size", chunked(b"5 \r\nhello\r\n0\r\n\r\n"), 400),
        ("a tab behind the size", chunked(b"5\t\r\nhello\r\n0\r\n\r\n"), 400),
        ("a size of 64 bits", chunked(b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), 400),
        ("a size of 65 bits that wraps to 5", chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
        ("a size of a thousand digits", chunked(b"0" * 999 + b"5\r\nhello\r\n0\r\n\r\n"), 400),
        ("a bare LF behind the size", chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
        ("a bare CR behind the size", chunked(b"5\rhello\r\n0\r\n\r\n"), 400),
        ("a bare LF behind the data", chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
        ("a bare CR behind the data", chunked(b"5\r\nhello\r0\r\n\r\n"), 400),
        ("nothing behind the data", chunked(b"5\r\nhello0\r\n\r\n"), 400),
        ("more data than the size", chunked(b"5\r\nhello!\r\n0\r\n\r\n"), 400),
        ("less data than the size", chunked(b"6\r\nhello\r\n0\r\n\r\n"), 400),
        ("a bare LF in an extension", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
        ("a bare CR in an extension", chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
        ("NUL in an extension", chunked(b"5;a\0b\r\nhello\r\n0\r\n\r\n"), 400),
        ("an extension too long", chunked(b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n"), 400),
        ("extensions too long together", chunked(b"".join(b"1;" + b"e" * 200 + b"\r\nx\r\n" for _ in range(30)) + b"0\r\n\r\n"), 400),
        ("garbage instead of an extension", chunked(b"5 garbage\r\nhello\r\n0\r\n\r\n"), 400),
        ("a last chunk of minus zero", chunked(b"5\r\nhello\r\n-0\r\n\r\n"), 400),
        ("a request instead of the trailers", chunked(b"5\r\nhello\r\n0\r\n" + get()), 400),
        ("a trailer without colon", chunked(b"0\r\nnothing\r\n\r\n"), 400),
        ("a folded trailer", chunked(b"0\r\nX: y\r\n z\r\n\r\n"), 400),
        ("a space before a trailer's colon", chunked(b"0\r\nX : y\r\n\r\n"), 400),
        ("a bare LF in the trailers", chunked(b"0\r\nX: y\nZ: a\r\n\r\n"), 400),
        ("a bare LF instead of trailers", chunked(b"0\r\n\n"), 400),
        ("NUL in a trailer", chunked(b"0\r\nX: \0\r\n\r\n"), 400),
        ("trailer Content-Length", chunked(b"0\r\nContent-Length: 5\r\n\r\n"), 400),
        ("trailer Transfer-Encoding", chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
        ("trailer Host", chunked(b"0\r\nHost: b\r\n\r\n"), 400),
        ("trailer Connection", chunked(b"0\r\nconnection: keep-alive\r\n\r\n"), 400),
        ("trailer Authorization", chunked(b"0\r\nAuthorization: Bearer x\r\n\r\n"), 400),
        ("trailer Content-Type", chunked(b"0\r\nContent-Type: text/html\r\n\r\n"), 400),
        ("trailer Cookie", chunked(b"0\r\nCookie: a=b\r\n\r\n"), 400),
        ("too many trailers", chunked(b"0\r\n" + b"X: y\r\n" * 33 + b"\r\n"), 431),
        ("trailers too large", chunked(b"0\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"y" * 900) for n in range(12)) + b"\r\n"), 431),
        ("a trailer too large", chunked(b"0\r\nX: " + b"y" * 9000 + b"\r\n\r\n"), 431),
    ],
}

# name, bytes, the statuses that come back, methods. The connection goes on: a good request behind it is answered, too.
ACCEPTED = [
    ("an empty line first", b"\r\n" + get(), [200]),
    ("HTTP/1.2", get(b"GET /bytes/7 HTTP/1.2"), [200]),
    ("the absolute form", get(b"GET http://a/bytes/7 HTTP/1.1"), [200]),
    ("the absolute form wins over Host", get(b"GET http://b:81/bytes/7 HTTP/1.1"), [200]),
    ("an unknown method", get(b"BREW /bytes/7 HTTP/1.1"), [405]),
    ("a lower-case method", get(b"get /bytes/7 HTTP/1.1"), [405]),
    ("a broken escape", get(b"GET /bytes/%zz HTTP/1.1"), [404]),
    ("an escaped slash", get(b"GET /bytes%2f7 HTTP/1.1"), [404]),
    ("dot segments", get(b"GET /../bytes/7 HTTP/1.1"), [404]),
    ("escaped dot segments", get(b"GET /%2e%2e/bytes/7 HTTP/1.1"), [404]),
    ("an escaped NUL", get(b"GET /bytes/%00 HTTP/1.1"), [404]),
    ("two slashes", get(b"GET //bytes/7 HTTP/1.1"), [404]),
    ("8-bit in a value", get(fields=b"Host: a\r\nX: \xe9\xff\r\n"), [200]),
    ("an empty value", get(fields=b"Host: a\r\nX:\r\n"), [200]),
    ("blanks around a value", get(fields=b"Host: \t a \t\r\nX:y\r\n"), [200]),
    ("as many fields as allowed", get(fields=b"Host: a\r\n" + b"X: y\r\n" * 99), [200]),
    ("Host in IPv6", get(fields=b"Host: [::1]:8480\r\n"), [200]),
    ("a body on GET is not a request", get(fields=b"Host: a\r\nContent-Length: 43\r\n",
                                             body=b"GET /bytes/9 HTTP/1.1\r\nHost: smuggled\r\n\r\n  "), [200]),
    ("chunks on GET are not a request", get(fields=b"Host: a\r\n" + T, body=B), [200]),
    ("blanks around Content-Length", post(b"Content-Length: \t5 \r\n", b"hello"), [200]),
    ("leading zeros of Content-Length", post(b"Content-Length: 0005\r\n", b"hello"), [200]),
    ("Content-Length: 0", post(b"Content-Length: 0\r\n"), [200]),
    ("POST without any length", post(b""), [200]),
    ("Transfer-Encoding behind a tab", L + b"Transfer-Encoding:\tchunked\r\n\r\n" + B, [200]),
    ("Transfer-Encoding in capitals", L + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + B, [200]),
    ("a name that only looks like Transfer-Encoding", L + b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", [200]),
    ("Connection does not take Content-Length away", post(b"Connection: Content-Length\r\nContent-Length: 5\r\n", b"hello"), [200]),
    ("chunk extensions", chunked(b'5;name=value;q="a;b"\r\nhello\r\n0;last\r\n\r\n'), [200]),
    ("zeros before a chunk's size", chunked(b"0005\r\nhello\r\n000\r\n\r\n"), [200]),
    ("trailers", chunked(b"5\r\nhello\r\n0\r\nX-Checksum: abc\r\nY: z\r\n\r\n"), [200]),
    ("HEAD", get(b"HEAD /bytes/7 HTTP/1.1"), [200], "HEAD"),
    ("HEAD with a body", get(b"HEAD /bytes/7 HTTP/1.1", b"Host: a\r\nContent-Length: 5\r\n", b"hello"), [200], "HEAD"),
    ("HEAD of what is not there", get(b"HEAD /nothing HTTP/1.1"), [404], "HEAD"),
    ("Upgrade to h2c is not taken up", get(fields=b"Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                                             b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), [200]),
    ("Upgrade to something unknown", get(fields=b"Host: a\r\nConnection: upgrade\r\nUpgrade: TLS/1.0, x/2\r\n"), [200]),
    ("Upgrade to WebSocket where there is none", get(fields=b"Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                                                       b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
     [200]),
    ("a WebSocket of another version", get(b"GET /echo HTTP/1.1", b"Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                                           b"Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"), [426]),
    ("a WebSocket without key", get(b"GET /echo HTTP/1.1", b"Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                                    b"Sec-WebSocket-Version: 13\r\n"), [400]),
    ("a WebSocket endpoint by plain GET", get(b"GET /echo HTTP/1.1"), [426]),
    ("a body that nobody reads", post(b"Content-Length: 5\r\n", b"hello", b"POST /nothing HTTP/1.1"), [404]),
    ("chunks that nobody reads", post(T, B, b"POST /nothing HTTP/1.1"), [404]),
    ("three in a row", get() + post(b"Content-Length: 5\r\n", b"hello") + get(b"GET /nothing HTTP/1.1"), [200, 200, 404]),
    ("expectation of HTTP/1.1 with the body at once", post(b"Content-Length: 5\r\nExpect: 100-continue\r\n", b"hello"), [200]),
    ("an expectation without a body", get(fields=b"Host: a\r\nExpect: 100-continue\r\n"), [200]),
    ("an expectation of HTTP/1.0 is none", b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n"
     b"Content-Length: 5\r\n\r\nhello", [200]),
    ("HTTP/1.0 kept alive", get(b"GET /bytes/7 HTTP/1.0", b"Connection: keep-alive\r\n"), [200]),
]

# name, bytes, statuses: the connection ends behind them although all was good.
CLOSING = [
    ("Connection: close", get(fields=b"Host: a\r\nConnection: close\r\n"), [200]),
    ("Connection: close among others", get(fields=b"Host: a\r\nConnection: x, CLOSE\r\n"), [200]),
    ("close wins over keep-alive", get(fields=b"Host: a\r\nConnection: keep-alive\r\nConnection: close\r\n"), [200]),
    ("HTTP/1.0", get(b"GET /bytes/7 HTTP/1.0", b""), [200]),
    ("good ones before a bad one are answered", get() + get(b"GET /nothing HTTP/1.1") + get(b"GET  / HTTP/1.1"), [200, 404, 400]),
    ("what stands behind a body of zero is a request", post(b"Content-Length: 0\r\n") + b"hello\r\n\r\n", [200, 400]),
    ("a body shorter than it is", post(b"Content-Length: 4\r\n", b"hello\r\n\r\n"), [200, 400]),
    ("more than the last chunk", chunked(b"5\r\nhello\r\n0\r\n\r\nX: y\r\n\r\n"), [200, 400]),
    ("HTTP/2 in the middle", get() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [200, 505]),
    ("a body declared too large", post(b"Content-Length: 99999999999999999\r\n"), [413]),
    ("a large body that nobody wants", post(b"Content-Length: 100000000\r\n", b"x" * 100000, b"POST /nothing HTTP/1.1"), [404]),
    ("a body held back for an answer that needs none", post(b"Content-Length: 5\r\nExpect: 100-continue\r\n", b"",
                                                              b"POST /nothing HTTP/1.1"), [404]),
    ("broken chunks that nobody reads", post(T, b"x\r\n", b"POST /nothing HTTP/1.1"), [404]),
]


def exchange(target, data, piece=None, methods=("GET",)):
    """Sends, half-closes, and returns the statuses, what stood behind them, and whether the server closed."""
    with Connection(target.port) as connection:
        connection.send(data, piece)
        connection.finish()
        closed = connection.receive_all()
        try:
            answers, rest = parse_answers(connection.received, methods)
        except Broken as error:
            return [], str(error).encode(), closed, connection
        return answers, rest, closed, connection


def at(target, data):
    """The bytes of a case with the paths of another server."""
    return data.replace(b"/bytes/7", target.get).replace(b"/echo", target.post)


def refused(target, group, name, data, status, size):
    data = at(target, data) + target.canary
    answers, rest, closed, connection = exchange(target, data, size)
    way = "byte by byte" if size == 1 else "whole"
    good = (closed and [answer.status for answer in answers] == [status] and rest == b""
            and answers[0].fields.get("connection") == "close")
    check(f"{target.name}: {group}: {name} ({way})", good, f"{answers} {rest[:100]!r} closed {closed} reset {connection.was_reset}")


def accepted(target, case, size):
    name, data, statuses = case[:3]
    method = case[3] if len(case) > 3 else "GET"
    answers, rest, closed, _ = exchange(target, data + target.canary, size, [method] * len(statuses) + ["GET"])
    way = "byte by byte" if size == 1 else "whole"
    finals = [answer.status for answer in answers if answer.status >= 200]
    check(f"{target.name}: taken: {name} ({way})", closed and finals == [*statuses, 200] and rest == b"", f"{answers} {rest[:100]!r}")


def closing(target, name, data, statuses, size):
    answers, rest, closed, connection = exchange(target, data + target.canary, size)
    way = "byte by byte" if size == 1 else "whole"
    check(f"{target.name}: closing: {name} ({way})", closed and [answer.status for answer in answers] == statuses and rest == b"",
          f"{answers} {rest[:100]!r} closed {closed} reset {connection.was_reset}")


def table(target, wanted):
    for group, cases in REFUSED.items():
        for name, data, status in cases:
            for size in [None] + ([1] if len(data) < 1000 else []):
                if wanted(group, name):
                    refused(target, group, name, data, status, size)
    for case in ACCEPTED:
        for size in (None, 1):
            if wanted("taken", case[0]):
                accepted(target, case, size)
    for name, data, statuses in CLOSING:
        for size in [None] + ([1] if len(data) < 1000 else []):
            if wanted("closing", name):
                closing(target, name, data, statuses, size)


# What the table cannot say: what is sent depends on what came.

def conversations(target):
    def connection():
        return Connection(target.port)

    with connection() as one:
        one.send(post(b"Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n"))
        check("100 comes before the body", one.receive_until(b"100 Continue\r\n\r\n", 5), one.received)
        one.send(b"hello")
        one.receive_all()
        answers, _ = parse_answers(one.received)
        check("and the answer behind it", [answer.status for answer in answers] == [100, 200] and answers[1].body == b"hello", answers)
    with connection() as one:
        one.send(post(T + b"Expect: 100-Continue\r\nConnection: close\r\n"))
        check("100 comes before chunks", one.receive_until(b"100 Continue\r\n\r\n", 5), one.received)
        one.send(b"5\r\nhel")
        one.send(b"lo\r\n0\r\nX: y\r\n\r\n")
        one.receive_all()
        answers, _ = parse_answers(one.received)
        check("and their answer", [answer.status for answer in answers] == [100, 200] and answers[1].body == b"hello", answers)
    with connection() as one:
        one.send(post(b"Content-Length: 100000000\r\nExpect: 100-continue\r\n"))
        closed = one.receive_all(5)
        answers, _ = parse_answers(one.received)
        check("no 100 for a body that is too large", closed and [answer.status for answer in answers] == [413], answers)
    with connection() as one:
        one.send(post(b"Content-Length: 10\r\n", b"hello"))
        one.finish()
        closed = one.receive_all(5)
        answers, _ = parse_answers(one.received)
        check("a body cut short by half-close", closed and [answer.status for answer in answers] == [400], answers)
    for name, data in [("in a size", b"5"), ("behind a size", b"5\r\n"), ("in data", b"5\r\nhel"), ("behind data", b"5\r\nhello\r\n"),
                       ("before the last line", b"0\r\n"), ("in a trailer", b"0\r\nX: y")]:
        with connection() as one:
            one.send(chunked(data))
            one.finish()
            closed = one.receive_all(5)
            answers, _ = parse_answers(one.received)
            check(f"chunks cut short {name}", closed and [answer.status for answer in answers] == [400], answers)
    for name, data in [("in the request line", b"GET /by"), ("in a field", b"GET / HTTP/1.1\r\nHo"), ("before the empty line", get()[:-2])]:
        with connection() as one:
            one.send(data)
            one.finish()
            closed = one.receive_all(5)
            answers, _ = parse_answers(one.received)
            check(f"a head cut short {name}", closed and [answer.status for answer in answers] in ([], [400]), answers)
    with connection() as one:
        one.send(get(b"GET /slow HTTP/1.1"))
        one.finish()
        closed = one.receive_all(5)
        answers, _ = parse_answers(one.received)
        check("who has half-closed still gets the answer", closed and [answer.status for answer in answers] == [200], answers)
    with connection() as one:
        requests = b"".join(get(b"GET /bytes/%d HTTP/1.1" % number) for number in range(200))
        one.send(requests)
        one.finish()
        one.receive_all(10)
        answers, _ = parse_answers(one.received)
        check("two hundred in a row, answered in order", [len(answer.body) for answer in answers] == list(range(200)), len(answers))
    with connection() as one:
        # The answers do not fit the socket's buffers: the server waits, and reads no further meanwhile.
        one.send(get(b"GET /bytes/1000000 HTTP/1.1") * 20)
        time.sleep(0.3)
        one.finish()
        one.receive_all(20)
        answers, _ = parse_answers(one.received)
        check("large answers in a row to who reads late", [len(answer.body) for answer in answers] == [1000000] * 20, len(answers))
    with connection() as one:
        one.send(get(b"GET /slow HTTP/1.1") + get(b"GET /bytes/3 HTTP/1.1", b"Host: a\r\nConnection: close\r\n"))
        one.receive_all(5)
        answers, _ = parse_answers(one.received)
        check("a quick one waits for a slow one", [answer.body for answer in answers] == [b"s", b"\0\1\2"], answers)
    with connection() as one:
        began = time.monotonic()
        body = b"x" * (20 << 20)
        sent = one.send(post(b"Content-Length: 100000000\r\n", line=b"POST /nothing HTTP/1.1") + body)
        one.receive_all(10)
        answers, _ = parse_answers(one.received)
        check("an early answer reaches who goes on sending", [answer.status for answer in answers] == [404],
              f"{answers} sent {sent} reset {one.was_reset} after {time.monotonic() - began:.1f} s")
    with connection() as one:
        one.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100))
        check("TLS where there is none is closed", one.receive_all(5) and one.received == b"", one.received)


def slow():
    """Deadlines, against a server whose deadlines are short."""
    def timed(name, steps, low, high, statuses):
        with Connection(port) as one:
            began = time.monotonic()
            steps(one)
            closed = one.receive_all(high + 2)
            took = time.monotonic() - began
            answers, rest = parse_answers(one.received)
            check(name, closed and low <= took <= high and [answer.status for answer in answers] in statuses and rest == b"",
                  f"{took:.2f} s {answers} closed {closed}")

    def trickle(data, pause=0.1):
        def steps(one):
            for position in range(len(data)):
                if not one.send(data[position:position + 1]) or one.receive(pause) is not None:
                    return
        return steps

    with echo_server("--head-timeout-ms", 1000, "--idle-timeout-ms", 1500, "--body-timeout-ms", 1000) as port:
        # Before the first byte it is the listener that waits: ten seconds.
        timed("a connection without a request", lambda one: None, 8, 14, [[]])
        timed("a connection without a second request", lambda one: one.send(get()), 1.2, 4, [[200]])
        timed("a head that trickles", trickle(get(fields=b"Host: a\r\n" + b"X: y\r\n" * 90)), 0.8, 3, [[], [408]])
        timed("a head that stops", lambda one: one.send(get()[:-2]), 0.8, 3, [[], [408]])
        timed("an empty line, and no head", lambda one: one.send(b"\r\n"), 0.8, 3, [[], [408]])
        timed("a body that stops", lambda one: one.send(post(b"Content-Length: 10\r\n", b"hello")), 0.8, 3, [[], [408]])
        timed("chunks that stop", lambda one: one.send(chunked(b"5\r\nhel")), 0.8, 3, [[], [408]])
        timed("a body that never comes after 100", lambda one: one.send(post(b"Content-Length: 10\r\nExpect: 100-continue\r\n")),
              0.8, 3, [[100], [100, 408]])
    with echo_server("--body-timeout-ms", 1000, "--min-body-bytes-per-second", 1000) as port:
        timed("a body that trickles", trickle(post(b"Content-Length: 1000\r\n", b"x" * 1000), 0.02), 0.8, 6, [[], [408]])
        timed("chunks that trickle", trickle(chunked(b"1\r\nx\r\n" * 1000), 0.02), 0.8, 6, [[], [408]])
        timed("an unread body that trickles", trickle(post(b"Content-Length: 1000\r\n", b"x" * 1000, b"POST /nothing HTTP/1.1"), 0.02),
              0.8, 6, [[404]])
    with echo_server("--max-requests-per-connection", 3) as port:
        with Connection(port) as one:
            one.send(get() * 5)
            closed = one.receive_all(5)
            answers, _ = parse_answers(one.received)
            check("the last request of a connection says so", closed and [answer.status for answer in answers] == [200] * 3
                  and [answer.fields.get("connection") for answer in answers] == [None, None, "close"], answers)


def edge(options):
    """The same request lines, fields, lengths and chunks at an edge's own routes, which nobody has signed in to."""
    with open(options.dev) as file:
        dev = json.load(file)
    url = urllib.parse.urlsplit(dev["edges"][0]["http"])
    return Target("edge", url.port, b"/media/uploads", b"/media/uploads",
                  b"OPTIONS /media/uploads HTTP/1.1\r\nHost: a\r\n\r\n"), dev["tokens"]["alice"]


def edge_table(target, token, wanted):
    # Upload and creation in one, whose length the field tells.
    fields = (b"Authorization: Bearer " + token.encode() + b"\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n"
              b"Content-Type: application/offset+octet-stream\r\n")
    for group, cases in REFUSED.items():
        for name, data, status in cases:
            if not wanted(group, name):
                continue
            if group == "chunks":
                data = data.replace(b"Host: a\r\n", b"Host: a\r\n" + fields, 1)
            refused(target, group, name, data, status, None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev")
    parser.add_argument("--only", help="cases whose group or name has these words")
    parser.add_argument("--port", type=int, help="an echo server that runs already")
    options = parser.parse_args()

    def wanted(group, name):
        return options.only is None or options.only in group + ": " + name

    def echo(port):
        target = Target("echo", port, b"/bytes/7", b"/echo", get())
        table(target, wanted)
        if options.only is None:
            conversations(target)

    if options.port:
        echo(options.port)
    else:
        with echo_server() as port:
            echo(port)
        if options.only is None:
            slow()
    if options.dev:
        target, token = edge(options)
        edge_table(target, token, wanted)
    finish()


if __name__ == "__main__":
    main()
