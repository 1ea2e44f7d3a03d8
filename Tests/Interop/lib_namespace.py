"""A network of the script's own, in which anybody may send under any address: a namespace with a development start in it, and beyond
a link the rest of the world, played by the script, frame by frame."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("SKERRY_BUILD") or pathlib.Path(__file__).resolve().parents[2] / ".build" / "debug")
HERE, HERE6 = "10.77.0.1", "2001:db8:77::1"
INSIDE = "--inside"
ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD


def enter():
    """Begins the script again in a namespace of its own; returns there."""
    if INSIDE in sys.argv:
        sys.argv.remove(INSIDE)
        return
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    os.execvp("unshare", ["unshare", *user, "--net", "--", sys.executable, *sys.argv, INSIDE])


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


class World:
    """The other end of the link: sends what pretends to come from anywhere, and sees what is answered."""

    def __init__(self):
        for line in ("link set lo up", "link add here type veth peer name there", "link set here arp off up", "link set there arp off up",
                     f"address add {HERE}/24 dev here", f"address add {HERE6}/64 dev here nodad", "route add default dev here",
                     "-6 route add default dev here"):
            run("ip", *line.split())
        for key in ("all", "here"):
            pathlib.Path(f"/proc/sys/net/ipv4/conf/{key}/rp_filter").write_text("0")
        link = json.loads(subprocess.check_output(["ip", "-json", "link", "show", "here"]))[0]
        self.hardware = bytes.fromhex(link["address"].replace(":", ""))
        self.sockets = {number: self.open(number) for number in (ETH_P_IP, ETH_P_IPV6)}

    @staticmethod
    def open(number):
        one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(number))
        one.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)  # SO_RCVBUFFORCE
        one.bind(("there", number))
        return one

    def send(self, source, port, to_port, payload):
        """A datagram from this address (4 or 16 bytes) to the relay."""
        count = 8 + len(payload)
        udp = struct.pack(">HHHH", port, to_port, count, 0)
        if len(source) == 4:
            target = socket.inet_aton(HERE)
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + count, 0, 0, 64, 17, 0) + source + target
            head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
            number = ETH_P_IP
        else:
            target = socket.inet_pton(socket.AF_INET6, HERE6)
            head = struct.pack(">IHBB", 6 << 28, count, 17, 64) + source + target
            total = checksum(source + target + struct.pack(">II", count, 17) + udp + payload)
            udp = udp[:6] + struct.pack(">H", total or 0xFFFF)
            number = ETH_P_IPV6
        with contextlib.suppress(BlockingIOError, InterruptedError):
            self.sockets[number].send(self.hardware + bytes(6) + struct.pack(">H", number) + head + udp + payload)

    def answers(self, quiet=0.05):
        """What came since: (address, payload) of every datagram, until nothing comes for that long."""
        found = []
        for number, one in self.sockets.items():
            one.settimeout(quiet)
            with contextlib.suppress(TimeoutError):
                while True:
                    frame = one.recv(65536)
                    if number == ETH_P_IP and frame[23] == 17:
                        found.append((frame[30:34], frame[42:14 + int.from_bytes(frame[16:18], "big")]))
                    elif number == ETH_P_IPV6 and frame[20] == 17:
                        found.append((frame[38:54], frame[62:54 + int.from_bytes(frame[18:20], "big")]))
        return found


def checksum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@contextlib.contextmanager
def development_start(edges=1):
    """`edgectl dev` in this namespace: the path of its dev.json."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="skerry-namespace-"))
    dev_json = folder / "var" / "dev.json"
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [BUILD / "edgectl", "dev", "--edges", str(edges), "--var", folder / "var"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not dev_json.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text(errors="replace"))
            time.sleep(0.05)
        json.loads(dev_json.read_text())
        yield dev_json
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
