"""The echo server of Tests/EchoServer, for the scripts beside this one."""
import contextlib
import os
import pathlib
import signal
import subprocess

BUILD = pathlib.Path(os.environ.get("SKERRY_BUILD") or pathlib.Path(__file__).resolve().parents[2] / ".build" / "debug")


@contextlib.contextmanager
def echo_server(*arguments):
    """Starts it, and gives the port; ends it as an operator would."""
    process = subprocess.Popen([BUILD / "echo-server", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"echo-server ended with {process.wait()}")
        yield int(line)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
