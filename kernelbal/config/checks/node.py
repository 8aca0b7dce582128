"""Settings of a node document that do not fit together, or not the site that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kernelbal.config.checks.program import program_conflicts
from kernelbal.config.violation import Violation, shown
from kernelbal.model.address import Address, format_endpoint
from kernelbal.model.choices import ProtocolName
from kernelbal.model.event import Topic
from kernelbal.model.node import ApiTls, Hook, Node
from kernelbal.model.site import Site
from kernelbal.model.site.edge import Edge
from kernelbal.plan.edge import leaving
from kernelbal.plan.networks import network_of

_TOPICS: Final = tuple(topic.value for topic in Topic)
_SUBJECTS: Final = tuple(dict.fromkeys(topic.partition(".")[0] for topic in _TOPICS))


def find_daemon_conflicts(node: Node) -> Iterator[Violation]:
    """Yield what makes the daemon's settings impossible."""
    for index, hook in enumerate(node.notify):
        yield from _hook(index, hook)
    if node.api.tls is not None:
        yield from _access(node.api.tls)


def find_taken_endpoint(site: Site, node: Node) -> Iterator[Violation]:
    """Yield the virtual service whose clients would find the control API, or the other way round."""
    tls = node.api.tls
    if tls is None:
        return
    for index, service in enumerate(site.virtual_services):
        taken = any(ports.low <= tls.port <= ports.high for ports in service.ports)
        if taken and service.address == tls.address and service.protocol is ProtocolName.TCP:
            endpoint = format_endpoint(Address(tls.address), tls.port)
            yield Violation(
                ("api", "tls", "port"),
                f"{endpoint} belongs to virtual service `{service.name}` (virtual_services[{index}])",
                "an address and port that no virtual service has",
                "use another port, or the node's own address",
            )


def find_node_conflicts(site: Site, node: Node) -> Iterator[Violation]:
    """Yield the networks of the site whose device the node does not name."""
    wanted: dict[str, str] = {
        name: "its shared address" for name, network in site.networks.items() if network.shared_addresses
    }
    for service in site.virtual_services:
        wanted.setdefault(network_of(site, service), f"virtual service `{service.name}`")
    edge = site.edge or Edge()
    for _, network, wanted_by in leaving(site):
        wanted.setdefault(network, wanted_by)
    for route in edge.routes:
        wanted.setdefault(route.network, f"edge route `{route.name}`")
    for network, wanted_by in wanted.items():
        if network not in node.interfaces:
            yield Violation(
                ("interfaces", network),
                f"no device for network `{network}`, which {wanted_by} needs",
                "the network device that leads there",
                f"add `{network}: eth0` with the right device to `interfaces`",
            )


def _hook(index: int, hook: Hook) -> Iterator[Violation]:
    path = ("notify", index)
    if bool(hook.script) == (hook.webhook is not None):
        what = "both a script and a webhook" if hook.script else "neither a script nor a webhook"
        hint = (
            "make two entries of it"
            if hook.script
            else "add `script: [/full/path]` or `webhook: https://...`"
        )
        yield Violation(path, what, "one of `script`, `webhook`", hint)
    if hook.script:
        yield from program_conflicts((*path, "script"), hook.script[0], (*path, "user"), hook)
    if hook.timeout <= 0:
        yield Violation(
            (*path, "timeout"), "a timeout of 0s", "a duration above `0s`", "some seconds are usual"
        )
    for place, topic in enumerate(hook.topics):
        if topic not in _TOPICS and topic not in _SUBJECTS:
            hint = f"or one of {', '.join(f'`{each}`' for each in _TOPICS)}"
            expected = f"one of {', '.join(f'`{each}`' for each in _SUBJECTS)}"
            yield Violation((*path, "topics", place), f"unknown topic `{shown(topic)}`", expected, hint)


def _access(tls: ApiTls) -> Iterator[Violation]:
    path = ("api", "tls")
    if not tls.clients and not tls.tokens:
        hint = "add `tokens`, or `client_ca` and `clients`, or remove `tls`"
        yield Violation(path, "no tokens and no clients: nobody has access", "`tokens` or `clients`", hint)
    if tls.clients and tls.client_ca is None:
        hint = "add `client_ca: /full/path`: the CA that signs client certificates"
        yield Violation((*path, "clients"), "client certificates without a CA", "a key `client_ca`", hint)
    if tls.client_ca is not None and not tls.clients:
        hint = "add `clients: [{common_name: NAME}]`, or remove the key"
        yield Violation((*path, "client_ca"), "a client CA without clients", "`clients`", hint)
    for key, names in (
        ("tokens", [token.name for token in tls.tokens]),
        ("clients", [client.common_name for client in tls.clients]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                message = f"`{shown(name)}` is given twice"
                yield Violation((*path, key, index), message, "each name once", "remove one of them")
