"""A STUN and TURN client of our own, for what no client made by others speaks (RFC 8489, 8656, 6062, 8016)."""
import base64
import ctypes
import ctypes.util
import enum
import hashlib
import hmac
import ipaddress
import os
import select
import socket
import ssl
import struct
import time
import zlib

COOKIE = 0x2112A442
TIMEOUT_S = 5

BINDING, ALLOCATE, REFRESH, SEND, DATA_METHOD, PERMISSION, CHANNEL_BIND = 1, 3, 4, 6, 7, 8, 9
CONNECT, CONNECTION_BIND, CONNECTION_ATTEMPT = 10, 11, 12
REQUEST, INDICATION, SUCCESS, ERROR = 0x000, 0x010, 0x100, 0x110
UDP, TCP = 17, 6
IPV4, IPV6 = 1, 2


class A(enum.IntEnum):
    """Attributes."""
    MAPPED_ADDRESS = 0x0001
    CHANGE_REQUEST = 0x0003
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    CHANNEL_NUMBER = 0x000C
    LIFETIME = 0x000D
    XOR_PEER_ADDRESS = 0x0012
    DATA = 0x0013
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_ADDRESS_FAMILY = 0x0017
    EVEN_PORT = 0x0018
    REQUESTED_TRANSPORT = 0x0019
    DONT_FRAGMENT = 0x001A
    ACCESS_TOKEN = 0x001B
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    PASSWORD_ALGORITHM = 0x001D
    USERHASH = 0x001E
    XOR_MAPPED_ADDRESS = 0x0020
    RESERVATION_TOKEN = 0x0022
    PADDING = 0x0026
    RESPONSE_PORT = 0x0027
    CONNECTION_ID = 0x002A
    ADDITIONAL_ADDRESS_FAMILY = 0x8000
    ADDRESS_ERROR_CODE = 0x8001
    PASSWORD_ALGORITHMS = 0x8002
    ALTERNATE_DOMAIN = 0x8003
    ICMP = 0x8004
    SOFTWARE = 0x8022
    ALTERNATE_SERVER = 0x8023
    FINGERPRINT = 0x8028
    RESPONSE_ORIGIN = 0x802B
    OTHER_ADDRESS = 0x802C
    THIRD_PARTY_AUTHORIZATION = 0x802E
    MOBILITY_TICKET = 0x8030


def attribute(kind, value=b""):
    return struct.pack(">HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def transport(protocol=UDP):
    return attribute(A.REQUESTED_TRANSPORT, struct.pack(">I", protocol << 24))


def family(number, kind=A.REQUESTED_ADDRESS_FAMILY):
    return attribute(kind, struct.pack(">I", number << 24))


def lifetime(seconds):
    return attribute(A.LIFETIME, struct.pack(">I", seconds))


def channel_number(number):
    return attribute(A.CHANNEL_NUMBER, struct.pack(">HH", number, 0))


def xored_address(kind, address, transaction=b""):
    """XOR-PEER-ADDRESS and its like; IPv6 needs the transaction id."""
    host, port = address[:2]
    ip = ipaddress.ip_address(host)
    mask = struct.pack(">I", COOKIE) + transaction
    if len(ip.packed) > len(mask):
        raise ValueError("an IPv6 address is xored with the transaction id")
    value = bytes(a ^ b for a, b in zip(ip.packed, mask))
    return attribute(kind, struct.pack(">BBH", 0, IPV4 if ip.version == 4 else IPV6, port ^ (COOKIE >> 16)) + value)


class Peer:
    """An XOR-PEER-ADDRESS to be written once the transaction id is known."""

    def __init__(self, address, kind=A.XOR_PEER_ADDRESS):
        self.address, self.kind = address, kind

    def bytes(self, transaction):
        return xored_address(self.kind, self.address, transaction)


class Message:
    """One that was received."""

    def __init__(self, data):
        self.data = data
        self.type, self.length, cookie = struct.unpack_from(">HHI", data)
        self.transaction = data[8:20]
        if cookie != COOKIE or self.type & 0xC000 or self.length + 20 != len(data):
            raise ValueError(f"no STUN message: {data[:40].hex()}")
        self.kind = self.type & 0x110
        self.method = self.type & 0xF | self.type >> 1 & 0x70 | self.type >> 2 & 0xF80
        self.attributes, offset = [], 20
        while offset < len(data):
            kind, count = struct.unpack_from(">HH", data, offset)
            self.attributes.append((kind, data[offset + 4:offset + 4 + count], offset))
            offset += 4 + count + (-count % 4)

    def __repr__(self):
        names = [A(kind).name if kind in A._value2member_map_ else hex(kind) for kind, _, _ in self.attributes]
        return f"<{self.type:#06x} code {self.code}: {', '.join(names)}>"

    def all(self, kind):
        return [value for one, value, _ in self.attributes if one == kind]

    def get(self, kind):
        return next(iter(self.all(kind)), None)

    @property
    def code(self):
        """The error code; 0 where there is none."""
        value = self.get(A.ERROR_CODE)
        return value[2] * 100 + value[3] if value else 0

    def addresses(self, kind):
        """(host, port) of every attribute of this kind, xored or not."""
        plain = (A.MAPPED_ADDRESS, A.ALTERNATE_SERVER, A.RESPONSE_ORIGIN, A.OTHER_ADDRESS)
        found = []
        for value in self.all(kind):
            port, ip = struct.unpack_from(">H", value, 2)[0], value[4:]
            if kind not in plain:
                port ^= COOKIE >> 16
                ip = bytes(a ^ b for a, b in zip(ip, struct.pack(">I", COOKIE) + self.transaction))
            found.append((str(ipaddress.ip_address(ip)), port))
        return found

    def address(self, kind):
        return next(iter(self.addresses(kind)), None)

    def lifetime(self):
        return struct.unpack(">I", self.get(A.LIFETIME))[0]

    def has_good_integrity(self, key):
        """Of the attribute that stands last, over what stands before it; None where there is none."""
        for kind, value, offset in self.attributes:
            if kind in (A.MESSAGE_INTEGRITY, A.MESSAGE_INTEGRITY_SHA256):
                digest = hashlib.sha1 if kind == A.MESSAGE_INTEGRITY else hashlib.sha256
                head = self.data[:2] + struct.pack(">H", offset - 20 + 4 + len(value)) + self.data[4:offset]
                return hmac.new(key, head, digest).digest()[:len(value)] == value
        return None

    def has_good_fingerprint(self):
        kind, value, offset = self.attributes[-1]
        return kind == A.FINGERPRINT and struct.unpack(">I", value)[0] == fingerprint_value(self.data[:offset])


def fingerprint_value(data):
    return zlib.crc32(data) & 0xFFFFFFFF ^ 0x5354554E


class ChannelData:
    def __init__(self, number, data):
        self.number, self.data = number, data

    def __repr__(self):
        return f"<channel {self.number:#06x}: {len(self.data)} bytes>"


class Closed(ConnectionError):
    """The server closed the connection."""


class Datagrams:
    """UDP, plain."""
    is_stream = False

    def __init__(self, server, source=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM)
        if source:
            self.socket.bind(source)
        self.socket.connect(server)

    def send(self, data):
        self.socket.send(data)

    def receive(self, timeout):
        """The bytes of one datagram; raises TimeoutError."""
        self.socket.settimeout(max(timeout, 0.001))
        return self.socket.recv(65536)

    def close(self):
        self.socket.close()


class Stream(Datagrams):
    """TCP, or TLS where there is a context."""
    is_stream = True

    def __init__(self, server, source=None, context=None, server_name=None):
        self.socket = socket.create_connection(server, timeout=TIMEOUT_S, source_address=source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=server_name)

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, timeout):
        self.socket.settimeout(max(timeout, 0.001))
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            raise Closed from error
        if not data:
            raise Closed
        return data


class DTLS(Datagrams):
    """By libssl itself, which Python's own module does not open for datagrams. Certificates are not verified here."""
    library = None

    def __init__(self, server, source=None):
        super().__init__(server, source)
        if not DTLS.library:
            DTLS.library = ctypes.CDLL(ctypes.util.find_library("ssl"))
            for name in ("DTLS_client_method", "SSL_CTX_new", "SSL_new", "BIO_new_dgram"):
                getattr(DTLS.library, name).restype = ctypes.c_void_p
        library = DTLS.library
        self.context = ctypes.c_void_p(library.SSL_CTX_new(ctypes.c_void_p(library.DTLS_client_method())))
        self.connection = ctypes.c_void_p(library.SSL_new(self.context))
        self.socket.settimeout(None)
        bio = ctypes.c_void_p(library.BIO_new_dgram(self.socket.fileno(), 0))
        set_connected = 32  # BIO_CTRL_DGRAM_SET_CONNECTED
        library.BIO_ctrl(bio, set_connected, ctypes.c_long(0), self.native(server))
        library.SSL_set_bio(self.connection, bio, bio)
        self.wait_at_most(TIMEOUT_S)
        if library.SSL_connect(self.connection) != 1:
            raise ConnectionError("no DTLS handshake")

    @staticmethod
    def native(server):
        ip = ipaddress.ip_address(server[0])
        if ip.version == 4:
            return struct.pack("=H", socket.AF_INET) + struct.pack(">H", server[1]) + ip.packed + bytes(8)
        return struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", server[1], 0) + ip.packed + bytes(4)

    def wait_at_most(self, seconds):
        whole = int(seconds)
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", whole, max(int((seconds - whole) * 1e6), 1000)))

    def send(self, data):
        if DTLS.library.SSL_write(self.connection, data, len(data)) != len(data):
            raise Closed

    def receive(self, timeout):
        deadline = time.monotonic() + timeout
        buffer = ctypes.create_string_buffer(65536)
        while True:
            self.wait_at_most(max(deadline - time.monotonic(), 0.001))
            count = DTLS.library.SSL_read(self.connection, buffer, 65536)
            if count > 0:
                return buffer.raw[:count]
            if DTLS.library.SSL_get_error(self.connection, count) == 6:  # SSL_ERROR_ZERO_RETURN
                raise Closed
            if time.monotonic() >= deadline:
                raise TimeoutError

    def close(self):
        if self.connection:
            DTLS.library.SSL_shutdown(self.connection)
            DTLS.library.SSL_free(self.connection)
            DTLS.library.SSL_CTX_free(self.context)
            self.connection = None
        super().close()


class Client:
    """One 5-tuple. `ask` makes a request and authenticates when it is asked to; what is relayed meanwhile waits for `relayed`."""

    def __init__(self, link, user=None, credential=None, *, algorithm=None, integrity=A.MESSAGE_INTEGRITY, userhash=False,
                 fingerprint=False):
        """algorithm: 1 (MD5) or 2 (SHA-256), said in PASSWORD-ALGORITHM; None is MD5, unsaid."""
        self.link = link
        self.user, self.credential = user, credential
        self.algorithm, self.integrity, self.userhash, self.fingerprint = algorithm, integrity, userhash, fingerprint
        self.realm = self.nonce = self.algorithms = None
        self.token = None       # (token, mac_key) of RFC 7635
        self.buffer = b""       # of a stream
        self.waiting = []       # messages that nobody has asked for yet
        self.last = b""         # the last request as it was sent

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.link.close()

    @property
    def key(self):
        if self.token:
            return self.token[1]
        text = f"{self.user}:{self.realm.decode()}:{self.credential}".encode()
        return hashlib.sha256(text).digest() if self.algorithm == 2 else hashlib.md5(text).digest()

    def message(self, method, *attributes, kind=REQUEST, transaction=None, authenticated=True):
        transaction = transaction or os.urandom(12)
        number = kind | method & 0xF | (method & 0x70) << 1 | (method & 0xF80) << 2
        body = b"".join(one.bytes(transaction) if isinstance(one, Peer) else one for one in attributes)
        if authenticated and self.nonce is not None:
            if self.userhash:
                body += attribute(A.USERHASH, hashlib.sha256(self.user.encode() + b":" + self.realm).digest())
            else:
                body += attribute(A.USERNAME, self.user.encode())
            body += attribute(A.REALM, self.realm) + attribute(A.NONCE, self.nonce)
            if self.algorithms and self.algorithm:
                body += attribute(A.PASSWORD_ALGORITHMS, self.algorithms)
                body += attribute(A.PASSWORD_ALGORITHM, struct.pack(">HH", self.algorithm, 0))
            digest, size = (hashlib.sha1, 20) if self.integrity == A.MESSAGE_INTEGRITY else (hashlib.sha256, 32)
            head = struct.pack(">HHI", number, len(body) + 4 + size, COOKIE) + transaction
            body += attribute(self.integrity, hmac.new(self.key, head + body, digest).digest())
        if self.fingerprint:
            head = struct.pack(">HHI", number, len(body) + 8, COOKIE) + transaction
            body += attribute(A.FINGERPRINT, struct.pack(">I", fingerprint_value(head + body)))
        return struct.pack(">HHI", number, len(body), COOKIE) + transaction + body

    def ask_once(self, method, *attributes, transaction=None, authenticated=True):
        """The answer, whatever it is. Over UDP the request is sent again when none comes."""
        self.last = self.message(method, *attributes, transaction=transaction, authenticated=authenticated)
        return self.exchange(self.last)

    def exchange(self, request):
        waits = [TIMEOUT_S] if self.link.is_stream else [0.5, 1, TIMEOUT_S]
        for wait in waits:
            self.link.send(request)
            try:
                return self.await_message(lambda one: isinstance(one, Message) and one.transaction == request[8:20], wait)
            except TimeoutError:
                pass
        raise TimeoutError(f"no answer to {request[:20].hex()}")

    def ask(self, method, *attributes):
        """The answer after the challenge, and after a nonce that was stale."""
        answer = self.ask_once(method, *attributes)
        for _ in range(2):
            if answer.code == 401 and self.nonce is None or answer.code == 438:
                self.take_challenge(answer)
                answer = self.ask_once(method, *attributes)
        return answer

    def take_challenge(self, answer):
        self.realm, self.nonce = answer.get(A.REALM) or self.realm, answer.get(A.NONCE)
        self.algorithms = answer.get(A.PASSWORD_ALGORITHMS)

    def await_message(self, wanted, timeout):
        for index, one in enumerate(self.waiting):
            if wanted(one):
                return self.waiting.pop(index)
        deadline = time.monotonic() + timeout
        while True:
            for one in self.read(deadline - time.monotonic()):
                self.waiting.append(one)
            for index, one in enumerate(self.waiting):
                if wanted(one):
                    return self.waiting.pop(index)
            if time.monotonic() >= deadline:
                raise TimeoutError

    def read(self, timeout):
        data = self.link.receive(timeout)
        if not self.link.is_stream:
            return [self.parse(data)]
        self.buffer += data
        found = []
        while len(self.buffer) >= 4:
            kind, count = struct.unpack_from(">HH", self.buffer)
            size = 20 + count if kind < 0x4000 else 4 + count + (-count % 4)
            if len(self.buffer) < size:
                break
            found.append(self.parse(self.buffer[:size]))
            self.buffer = self.buffer[size:]
        return found

    @staticmethod
    def parse(data):
        if data[0] & 0xC0 == 0x40:
            number, count = struct.unpack_from(">HH", data)
            return ChannelData(number, data[4:4 + count])
        return Message(data)

    # What is done with an allocation.

    def allocate(self, *attributes, protocol=UDP):
        return self.ask(ALLOCATE, transport(protocol), *attributes)

    def refresh(self, seconds=None, *attributes):
        return self.ask(REFRESH, *([] if seconds is None else [lifetime(seconds)]), *attributes)

    def permit(self, *peers):
        return self.ask(PERMISSION, *[Peer(peer) for peer in peers])

    def bind_channel(self, number, peer):
        return self.ask(CHANNEL_BIND, channel_number(number), Peer(peer))

    def send_data(self, peer, data, *attributes):
        self.link.send(self.message(SEND, Peer(peer), attribute(A.DATA, data), *attributes, kind=INDICATION, authenticated=False))

    def send_channel(self, number, data):
        padding = b"\0" * (-len(data) % 4) if self.link.is_stream else b""
        self.link.send(struct.pack(">HH", number, len(data)) + data + padding)

    def relayed(self, timeout=TIMEOUT_S):
        """What came from a peer next: (peer or channel number, bytes)."""
        one = self.await_message(lambda one: isinstance(one, ChannelData) or one.kind == INDICATION and one.get(A.DATA) is not None, timeout)
        if isinstance(one, ChannelData):
            return one.number, one.data
        return one.address(A.XOR_PEER_ADDRESS), one.get(A.DATA)

    def indication(self, method, timeout=TIMEOUT_S):
        return self.await_message(lambda one: isinstance(one, Message) and one.kind == INDICATION and one.method == method, timeout)

    def hears_nothing(self, seconds=0.2):
        """Whether nothing is relayed; for what must not come there is no event to wait for."""
        try:
            self.relayed(seconds)
        except TimeoutError:
            return True
        return False


def rest_credential(secret, user):
    """base64 of HMAC-SHA1, as TURN REST has it."""
    return base64.b64encode(hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()).decode()


def peer_socket(host="127.0.0.1", kind=socket.SOCK_DGRAM):
    """A peer of this process, bound to a port of its own."""
    peer = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    peer.bind((host, 0))
    peer.settimeout(TIMEOUT_S)
    return peer


def is_readable(one, seconds):
    return bool(select.select([one], [], [], seconds)[0])
