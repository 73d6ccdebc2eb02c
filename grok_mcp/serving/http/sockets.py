"""Sockets that the server listens at: its own, and that of its metrics."""

import socket


def listen_at(host: str, port: int, backlog: int) -> socket.socket:
    """A socket that listens there. Raises OSError."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, socket.IPPROTO_TCP)  # the protocol makes asyncio set TCP_NODELAY
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    return listening
