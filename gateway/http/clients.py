"""Who a client is: an address, or the network that one subscriber has. For limits and budgets, never for
decisions."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

MOST_HOPS = 16
NOBODY = "unknown"


def client(peer: str, forwarded: str, proxies: Collection[str]) -> str:
    """The peer, or whom our own proxies name: the last address that is none of theirs. What cannot be
    read counts for the proxy that let it through.

    peer: address without port. forwarded: X-Forwarded-For, all of them joined by commas; "" without one.
    """
    peer = address(peer)
    if peer not in proxies:
        return peer
    for hop in reversed(forwarded.rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
        named = address(hop.strip())
        if named == NOBODY:
            return peer
        if named not in proxies:
            return named
    return peer


def address(text: str) -> str:
    """One spelling of an address; an IPv4 address in IPv6's clothes is IPv4."""
    try:
        found = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return NOBODY
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def network(found: str) -> str:
    """IPv6 addresses are given out by networks of 64 bits: one of those is one client."""
    if ":" not in found:
        return found
    return str(ipaddress.ip_network((found.partition("%")[0], 64), strict=False))
