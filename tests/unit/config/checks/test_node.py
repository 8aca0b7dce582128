"""Settings of a node document that do not fit together, or not its site."""

import pytest

from kernelbal.config.checks.node import find_node_conflicts
from kernelbal.config.load import load_node, load_site, node_problems
from kernelbal.errors import ConfigError
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from tests.unit.config.spec import FILE, blocks, service, text_of

TLS = "address: 10.0.0.2, certificate: /etc/a.pem, key: /etc/a.key"
TOKEN = f"{{name: desk, sha256: {'ab' * 32}}}"

REFUSED = f"""
notify: [{{topics: [config]}}]
=> 2:10 notify[0]: neither a script nor a webhook
notify: [{{script: [/bin/a], webhook: 'https://a.example/'}}]
=> 2:10 notify[0]: both a script and a webhook
notify: [{{script: [mail]}}]
=> 2:20 notify[0].script[0]: program `mail`
notify: [{{script: [/bin/a], user: root}}]
=> 2:35 notify[0].user: a program that runs as root
notify: [{{script: [/bin/a], timeout: 0s}}]
=> 2:38 notify[0].timeout: a timeout of 0s
notify: [{{script: [/bin/a], topics: [real_server, weather]}}]
=> 2:51 notify[0].topics[1]: unknown topic `weather`
api: {{tls: {{{TLS}}}}}
=> 2:12 api.tls: no tokens and no clients: nobody has access
api: {{tls: {{clients: [{{common_name: lb2}}], {TLS}}}}}
=> 2:22 api.tls.clients: client certificates without a CA
api: {{tls: {{client_ca: /etc/ca.pem, tokens: [{TOKEN}], {TLS}}}}}
=> 2:24 api.tls.client_ca: a client CA without clients
api: {{tls: {{{TLS}, tokens: [{TOKEN}, {TOKEN}]}}}}
=> 2:171 api.tls.tokens[1]: token `desk`: `desk` is given twice
""".strip().splitlines()


@pytest.mark.parametrize(("settings", "problem"), list(zip(REFUSED[::2], REFUSED[1::2], strict=True)))
def test_conflict_is_refused(settings: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_node(f"name: lb1\n{settings}\n".encode(), FILE)
    first, *rest = blocks(caught.value.problems).splitlines()
    assert first == problem.removeprefix("=> ")
    assert [line[:4] for line in rest] == ["  = ", "  ? "]


@pytest.mark.parametrize(
    "settings",
    [
        "notify: [{script: [/bin/a, b]}, {webhook: 'https://a.example/', topics: [config, config.loaded]}]",
        f"api: {{tls: {{{TLS}, tokens: [{TOKEN}]}}}}",
        f"api: {{tls: {{{TLS}, client_ca: /etc/ca.pem, clients: [{{common_name: lb2, right: change}}]}}}}",
        "api: {socket: /run/k.sock, change_groups: [adm], read_groups: [users]}",
    ],
)
def test_what_fits_together_is_accepted(settings: str) -> None:
    assert load_node(f"name: lb1\n{settings}\n".encode(), FILE).name == "lb1"


@pytest.mark.parametrize(
    ("address", "port", "problems"),
    [
        ("192.0.2.10", 80, ["192.0.2.10:80 belongs to virtual service `web` (virtual_services[0])"]),
        ("192.0.2.10", 8443, []),
        ("10.0.0.2", 80, []),
    ],
)
def test_api_and_clients_are_told_apart(address: str, port: int, problems: list[str]) -> None:
    tls = f"address: {address}, port: {port}, certificate: /a, key: /b, tokens: [{TOKEN}]"
    text = f"{{name: lb1, interfaces: {{outside: eth0}}, api: {{tls: {{{tls}}}}}}}".encode()
    site = load_site(text_of(service()), FILE)
    found = node_problems(site, load_node(text, FILE), text, FILE)
    assert [problem.message for problem in found] == problems


SITE = Site.model_validate(
    {
        "networks": {"outside": {"shared_addresses": ["192.0.2.1/24"]}, "inside": {}, "dmz": {}},
        "virtual_services": [
            {"name": "a", "address": "192.0.2.10", "ports": 80, "forwarding": "nat"},
            {"name": "b", "address": "198.51.100.1", "ports": 80, "forwarding": "nat", "network": "dmz"},
        ],
    }
)


def messages(**interfaces: str) -> list[str]:
    node = Node.model_validate({"name": "lb1", "interfaces": interfaces})
    return [violation.message for violation in find_node_conflicts(SITE, node)]


def test_network_that_carries_addresses_needs_a_device() -> None:
    assert messages() == [
        "no device for network `outside`, which its shared address needs",
        "no device for network `dmz`, which virtual service `b` needs",
    ]


def test_network_without_addresses_needs_none() -> None:
    assert messages(outside="eth0", dmz="eth0") == []


def test_networks_of_the_edge_need_devices() -> None:
    edge = {
        "source_nat": [{"name": "out", "inside": "10.0.0.0/24", "masquerade": True, "network": "wan"}],
        "routes": [{"name": "line", "source": "10.0.0.1", "network": "leased"}],
    }
    site = Site.model_validate({"edge": edge})
    node = Node.model_validate({"name": "lb1"})
    assert [violation.message for violation in find_node_conflicts(site, node)] == [
        "no device for network `wan`, which edge entry `out` needs",
        "no device for network `leased`, which edge route `line` needs",
    ]
