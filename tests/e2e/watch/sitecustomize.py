"""Loaded by every Python process of a test that forbids the network: whatever is not loopback is written down
and refused. An audit hook cannot be taken out again by what runs under it."""

import os
import sys

_LOG = os.environ.get("SEALGATE_TEST_CONNECTS")
_NAMES = frozenset({"localhost", "::1", ""})


def _loopback(host: object) -> bool:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    return host is None or text in _NAMES or text.startswith("127.")


def _watch(event: str, args: tuple) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = args[1]
        host = address[0] if isinstance(address, tuple) and address else "127.0.0.1"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = args[0]
    else:
        return
    if not _loopback(host):
        line = f"{os.getpid()} {event} {host!r}\n".encode()
        found = os.open(_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(found, line)
        os.close(found)
        raise OSError(101, "Network is unreachable")


if _LOG:
    sys.addaudithook(_watch)
