"""HTTP/1.1 over bare sockets, for the scripts beside this one that send what no client library would."""
import socket
import time


class Answer:
    """One answer: its status, its fields (names in lower case, last one wins), its body."""

    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields
        self.body = body

    def __repr__(self):
        return f"{self.status} {self.fields} {self.body[:120]!r}"


class Broken(Exception):
    """What came back is no HTTP/1.1."""


def parse_answers(data, methods=("GET",)):
    """The answers in the bytes of a connection that has ended, and what is left behind the last whole one."""
    answers, position, finals = [], 0, 0
    while position < len(data):
        end = data.find(b"\r\n\r\n", position)
        if end < 0:
            break
        lines = data[position:end].split(b"\r\n")
        words = lines[0].split(b" ", 2)
        if len(words) < 2 or words[0] != b"HTTP/1.1" or len(words[1]) != 3 or not words[1].isdigit():
            raise Broken(f"no status line: {lines[0]!r}")
        status = int(words[1])
        fields = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or name != name.strip():
                raise Broken(f"no field: {line!r}")
            fields[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        position = end + 4
        method = methods[min(finals, len(methods) - 1)]
        if status < 200 and status != 101:
            answers.append(Answer(status, fields, b""))
            continue
        finals += 1
        if method == "HEAD" or status in (101, 204, 304):
            answers.append(Answer(status, fields, b""))
            if status == 101:
                break
        elif fields.get("transfer-encoding") == "chunked":
            body, position = parse_chunks(data, position)
            answers.append(Answer(status, fields, body))
        elif "content-length" in fields:
            length = int(fields["content-length"])
            if position + length > len(data):
                raise Broken(f"body cut short: {len(data) - position} of {length} bytes")
            answers.append(Answer(status, fields, data[position:position + length]))
            position += length
        else:
            answers.append(Answer(status, fields, data[position:]))
            position = len(data)
    return answers, data[position:]


def parse_chunks(data, position):
    body = b""
    while True:
        end = data.find(b"\r\n", position)
        if end < 0:
            raise Broken("chunks cut short")
        size = int(data[position:end].split(b";")[0], 16)
        position = end + 2
        if size == 0:
            end = data.find(b"\r\n\r\n", position - 2)
            if end < 0:
                raise Broken("trailers cut short")
            return body, end + 4
        body += data[position:position + size]
        if data[position + size:position + size + 2] != b"\r\n":
            raise Broken("a chunk without its end")
        position += size + 2


class Connection:
    """A socket that sends what it is told and collects what comes back."""

    def __init__(self, port, host="127.0.0.1", wrap=None, timeout=10):
        plain = socket.create_connection((host, port), timeout=timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = wrap(plain) if wrap else plain
        self.received = b""
        self.was_reset = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data, piece=None, pause=0):
        """Sends in pieces; a server that has had enough is no error. Returns whether all of it went."""
        try:
            if piece is None:
                self.socket.sendall(data)
            else:
                for start in range(0, len(data), piece):
                    self.socket.sendall(data[start:start + piece])
                    if pause:
                        time.sleep(pause)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def finish(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def receive(self, seconds):
        """One read; None when nothing comes for so long, nothing at the end."""
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(1 << 16)
        except (TimeoutError, socket.timeout):
            return None
        except ConnectionResetError:
            self.was_reset = True
            return b""
        self.received += data
        return data

    def receive_until(self, marker, seconds=10):
        deadline = time.monotonic() + seconds
        while marker not in self.received:
            left = deadline - time.monotonic()
            if left <= 0 or not self.receive(left):
                return False
        return True

    def receive_all(self, seconds=10):
        """Reads to the end. Returns whether the server closed within the time."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            data = self.receive(left) if left > 0 else None
            if data is None:
                return False
            if data == b"":
                return True
