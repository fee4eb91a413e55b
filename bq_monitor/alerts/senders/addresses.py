"""Where a sender may connect: names are resolved once, the addresses checked, and the checked address is the one that is dialled."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from os import environ
from time import monotonic

from bq_monitor.alerts.senders.base import Undelivered

Address = IPv4Address | IPv6Address
_METADATA_NAMES = {
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
}
_METADATA = {
    ip_address(text) for text in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
}
"""Services of clouds that hand out credentials at addresses which are not link-local."""
_GLOBAL_V6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_PRIVATE_V6 = [ip_network(text) for text in ("fc00::/7", "::1/128")]
_NOT_GLOBAL = [
    ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "2001::/23", "2001:db8::/32", "3fff::/20")
]
_CGNAT = ip_network("100.64.0.0/10")
_PRIVATE_V4 = [
    *(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")), _CGNAT,
]  # fmt: skip


@dataclass
class Line:
    """A connection that another thread may cut when the time is over."""

    deadline: float
    _held: list[socket.socket] = field(default_factory=list)
    _is_cut: bool = False

    @property
    def seconds_left(self) -> float:
        """Until the deadline; never zero, which sockets would read as `do not block`."""
        return max(0.001, self.deadline - monotonic())

    def hold(self, sock: socket.socket) -> None:
        """Remember a socket, by a duplicate that stays valid when TLS takes it over; refuses one that comes too late."""
        if self._is_cut:
            raise TimeoutError
        self._held.append(sock.dup())

    def cut(self) -> None:
        """End the connection under whoever waits on it."""
        self._is_cut = True
        for sock in list(self._held):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended by itself

    def close(self) -> None:
        while self._held:
            self._held.pop().close()


def resolve(place: str, host: str, port: int, *, allow_private: bool, plain: bool = False) -> list[Address]:
    """The addresses of a host, each of which may be dialled.

    Args:
        allow_private: whether addresses of private networks and this machine are allowed.
        plain: whether the connection is not encrypted; then only this machine is allowed.

    Raises:
        Undelivered: `later` when any address is refused, `soon` when the name does not resolve.
    """
    name = host.strip("[]").rstrip(".").lower()
    if name in _METADATA_NAMES:
        raise Undelivered(f"{place}: {name} is refused; it is a cloud's metadata service", retry="later")
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    addresses = list(dict.fromkeys(ip_address(str(entry[4][0]).split("%")[0]) for entry in found))
    if not addresses:
        raise Undelivered(f"{place}: {name} does not resolve. Check the host's name", retry="soon")
    if plain and not (allow_private and all(address.is_loopback for address in addresses)):
        reason = f"{place}: {name} is refused without TLS; allowed: https, or http to this machine with allow_private"
        raise Undelivered(reason, retry="later")
    if odd := [address for address in addresses if not is_allowed(address, allow_private=allow_private)]:
        remedy = "" if not is_allowed(odd[0], allow_private=True) else ". Set allow_private if that is meant"
        raise Undelivered(f"{place}: {name} is refused; {odd[0]} is not a public address{remedy}", retry="later")
    return addresses


def is_allowed(address: Address, *, allow_private: bool) -> bool:
    """Whether an address is public, or private and that is allowed; link-local and metadata services never are."""
    if address in _METADATA or address.is_multicast or address.is_unspecified:
        return False
    if isinstance(address, IPv6Address) and (inner := _embedded(address)) is not None:
        return is_allowed(inner, allow_private=allow_private)
    private = _PRIVATE_V4 if isinstance(address, IPv4Address) else _PRIVATE_V6
    if any(address in network for network in private):
        return allow_private
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return False
    return address.is_global and not any(address in network for network in _NOT_GLOBAL)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: mapped, 6to4, NAT64."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def dial(addresses: list[Address], port: int, line: Line) -> socket.socket:
    """A connection to the first address that answers; raises the OSError of the last."""
    fault: OSError = TimeoutError()
    for i, address in enumerate(addresses):
        family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(line.seconds_left / (len(addresses) - i))
            line.hold(sock)
            sock.connect((str(address), port))
            sock.settimeout(line.seconds_left)
        except OSError as error:
            sock.close()
            fault = error
        else:
            return sock
    raise fault


def encrypt(sock: socket.socket, host: str) -> ssl.SSLSocket:
    """TLS on a connection, with the certificate checked against the name; closes the connection when that fails."""
    try:
        return tls_context().wrap_socket(sock, server_hostname=host.strip("[]").rstrip("."))
    except BaseException:
        sock.close()
        raise


def tls_context() -> ssl.SSLContext:
    """The machine's roots (SSL_CERT_FILE and SSL_CERT_DIR count) and those of certifi."""
    return _context(environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
