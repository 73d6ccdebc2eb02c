"""What a host name or address means."""

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=64)
def is_address(host: str) -> bool:
    """Whether a host is an address, and no name that has to be looked up."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def is_loopback(host: str | None) -> bool:
    """Whether an address or name is this machine's own, reached from nowhere else."""
    try:
        return host == "localhost" or ip_address((host or "").strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Whether an address to listen at means all addresses of the machine."""
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return host == ""
