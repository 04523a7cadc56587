"""File descriptors: how many connections a process has room for, and how one of them is closed from outside ZeroMQ."""

import resource
import socket
from contextlib import suppress

_BURST = 1024  # connections that may be accepted between two checks of a socket


def raise_limit(needed: int) -> int:
    """Raise this process's limit on open files to so many, or as far as the hard limit allows; the limit now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = max(soft, needed if hard == resource.RLIM_INFINITY else min(needed, hard))
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def room_for(connections: int, *, others: int, expected: int = 0) -> int:
    """Raise this process's limit on open files for so many connections besides `others` files; how many have room.

    Where the hard limit is lower fewer have: what the others leave, and at least a quarter of the limit and those that
    are expected.
    """
    limit = raise_limit(connections + others + _BURST)
    return min(connections, max(limit - others - _BURST, limit // 4, expected))


def shut_down(descriptor: int, port: int) -> None:
    """End the connection of a descriptor that ZeroMQ has accepted at a TCP port; ZeroMQ closes it when it sees the end.

    ZeroMQ may have closed it before, and the kernel may have given its number to another file: only a connection at
    this port is ended.
    """
    with suppress(OSError), socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as duplicate:
        address = duplicate.getsockname()
        if isinstance(address, tuple) and address[1] == port:
            duplicate.shutdown(socket.SHUT_RDWR)
