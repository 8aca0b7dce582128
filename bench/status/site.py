"""A large site as documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

NODE: Final = "name: lb1\ninterfaces: {outside: eth0, inside: eth1}\n"


class Size(NamedTuple):
    """How large a site is.

    Attributes:
        services: virtual services.
        servers: real servers of each.
    """

    services: int
    servers: int


def site_text(size: Size, scheduler: str = "wlc") -> str:
    """Return the site document: TCP services of one address, with checks, and a name for each real server."""
    return "virtual_services:\n" + "".join(
        _service(size, number, scheduler) for number in range(size.services)
    )


def _service(size: Size, number: int, scheduler: str) -> str:
    lines = "".join(_servers(range(number * size.servers, (number + 1) * size.servers)))
    return f"""\
  - name: s{number}
    address: 192.0.2.10
    ports: [{1000 + number}]
    forwarding: nat
    one_armed: true
    scheduler: {scheduler}
    check: {{tcp: {{}}, interval: 5s, timeout: 2s}}
    real_servers:
{lines}"""


def _servers(numbers: range) -> Iterator[str]:
    for number in numbers:
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        yield f"      - {{address: {address}, port: 80, weight: {1 + number % 100}, name: rs{number}}}\n"
