"""Documents and every problem that they must lead to."""

from collections.abc import Iterator

import pytest

from kernelbal.config.load import load_document, load_node, load_site, node_problems, site_warnings
from kernelbal.config.salvage import ValidPart
from kernelbal.config.violation import Violation
from kernelbal.errors import ConfigError
from kernelbal.model.choices import ForwardingName
from kernelbal.model.site import Site
from tests.unit.config.spec import FILE, blocks, expect, refused, service, text_of
from tests.unit.config.test_salvage import Atlas

MINIMAL = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80, 8000-8010]
    forwarding: nat
    real_servers:
      - {address: 10.0.0.11, weight: 5}
      - {address: 10.0.0.12}
"""


def test_valid_site_has_the_defaults_that_are_documented() -> None:
    site = load_site(text_of(MINIMAL), FILE)
    (service,) = site.virtual_services
    assert service.forwarding is ForwardingName.NAT
    assert [str(ports) for ports in service.ports] == ["80", "8000-8010"]
    assert [(s.address, s.weight) for s in service.real_servers] == [
        (bytes([10, 0, 0, 11]), 5),
        (bytes([10, 0, 0, 12]), 100),
    ]
    assert (service.scheduler.value, service.drain, service.persistence) == ("wlc", 60.0, None)


def test_byte_order_mark_is_no_part_of_the_document() -> None:
    assert load_site(b"\xef\xbb\xbf" + text_of(MINIMAL), FILE) == load_site(text_of(MINIMAL), FILE)


def test_empty_document_is_refused_because_it_would_remove_every_service() -> None:
    assert refused("# all commented out\n").startswith("2:1: the document is empty")


def test_explicitly_empty_site_is_accepted() -> None:
    assert load_site(b"{}", FILE) == Site()


CASES = {
    "shorthand": (
        """
        virtual_services:
          - name: web
            address: 192.0.2.10
            ports: 80
            forwarding: nat
            check: htpp
        """,
        """
        6:12 virtual_services[0].check.htpp: virtual service `web`: unknown key `htpp`
          = one of the keys `icmp`, `tcp`, `tls`, `http`, `https`, `dns`, `udp`, `smtp`, `imap`, `pop3`, \
`ldap`, `ftp`, `ssh`, `rdp`, `radius`, `script`, `none`, `interval`, `timeout`, `rise`, `fall`, `jitter`, \
`unable`, `address`, `port`, `source`, `mark`, `through`
          ? did you mean `http`?
        """,
    ),
    "unknown key, foreign names and values": (
        """
        virtual_services:
          - name: web
            vip: 192.0.2.10
            ports: 80
            lb_kind: DR
            shceduler: rr
            colour: red
        """,
        """
        3:5 virtual_services[0].vip: virtual service `web`: unknown key `vip`
          = KEYS
          ? write `address: 192.0.2.10`
        5:5 virtual_services[0].lb_kind: virtual service `web`: unknown key `lb_kind`
          = KEYS
          ? write `forwarding: dsr`
        6:5 virtual_services[0].shceduler: virtual service `web`: unknown key `shceduler`
          = KEYS
          ? did you mean `scheduler`?
        7:5 virtual_services[0].colour: virtual service `web`: unknown key `colour`
          = KEYS
          ? remove it
        """,
    ),
    "missing keys point to their mapping": (
        """
        virtual_services:
          - name: web
            real_servers:
              - weight: 3
        """,
        """
        2:5 virtual_services[0].address: virtual service `web`: `address` is missing
          = an IPv4 or IPv6 address, such as `192.0.2.10` or `"2001:db8::10"`
          ? `address`: The virtual address.
        2:5 virtual_services[0].ports: virtual service `web`: `ports` is missing
          = `all`, a port 1-65535, or a list of ports and ranges such as `8000-8010`
          ? `ports`: `all`, a port, or a list of ports and `low-high` ranges.
        2:5 virtual_services[0].forwarding: virtual service `web`: `forwarding` is missing
          = one of `nat`, `dsr`, `tunnel`
          ? `forwarding`: Forwarding method.
        4:9 virtual_services[0].real_servers[0].address: virtual service `web`: `address` is missing
          = an IPv4 or IPv6 address, such as `192.0.2.10` or `"2001:db8::10"`
          ? `address`: Its own address, not the virtual one.
        """,
    ),
    "wrong types": (
        """
        virtual_services:
          - name: web
            address: 192.0.2.10
            ports: 80
            forwarding: nat
            one_armed: yes
            drain: 60
            scheduler: 5
            mark: "7"
            real_servers: {address: 10.0.0.11}
            tunnel: []
          - 5
          -
        """,
        """
        6:16 virtual_services[0].one_armed: virtual service `web`: found the text `yes`
          = `true` or `false`
          ? write `true`
        7:12 virtual_services[0].drain: virtual service `web`: `60` has no unit; \
write a duration such as `300ms`, `9s`, `5m`, `1h`
          = a duration with its unit, such as `300ms`, `9s`, `5m`, `1h`, `2d`
          ? `drain`: How long a removed real server may keep its connections.
        8:16 virtual_services[0].scheduler: virtual service `web`: found the number `5`
          = one of `rr`, `wrr`, `lc`, `wlc`, `sh`, `mh`, `sed`, `nq`, `fo`, `ovf`, `lblc`, `lblcr`, `dh`
          ? `scheduler`: IPVS scheduler.
        9:11 virtual_services[0].mark: virtual service `web`: found the text `7`
          = a whole number 1-4294967295
          ? remove the quotes
        10:19 virtual_services[0].real_servers: virtual service `web`: found a mapping
          = a list, each item a mapping
          ? begin each item with `- `, or write `[...]`
        11:13 virtual_services[0].tunnel: virtual service `web`: found a list
          = a mapping with the keys `type`, `port`, `checksum`
          ? `tunnel`: Encapsulation of `forwarding: tunnel`.
        12:5 virtual_services[1]: found the number `5`
          = a mapping with the keys KEYS
          ? `virtual_services`: Virtual services.
        13:4 virtual_services[2]: found nothing
          = a mapping with the keys KEYS
          ? write a value, or remove the line
        """,
    ),
    "values out of range or out of the vocabulary": (
        """
        virtual_services:
          - name: my web
            address: 192.0.2.300
            protocol: TCP
            ports: [80, 70000]
            forwarding: dsrr
            scheduler: least-connection
            real_servers:
              - {address: 10.0.0.11, weight: 65536}
        """,
        """
        2:11 virtual_services[0].name: virtual service `my web`: invalid value `my web`
          = a name of letters, digits, `_`, `.` and `-`, 63 at most, the first a letter or digit
          ? `name`: Unique in the site.
        3:14 virtual_services[0].address: virtual service `my web`: `192.0.2.300` is not an IPv4 address: \
an octet is above 255
          = an IPv4 or IPv6 address, such as `192.0.2.10` or `"2001:db8::10"`
          ? `address`: The virtual address.
        4:15 virtual_services[0].protocol: virtual service `my web`: invalid value `TCP`
          = one of `tcp`, `udp`, `sctp`
          ? write `tcp`
        5:17 virtual_services[0].ports[1]: virtual service `my web`: `70000` is outside the ports 1-65535
          = a port 1-65535, or a range such as `8000-8010`
          ? `ports`: `all`, a port, or a list of ports and `low-high` ranges.
        6:17 virtual_services[0].forwarding: virtual service `my web`: invalid value `dsrr`
          = one of `nat`, `dsr`, `tunnel`
          ? did you mean `dsr`?
        7:16 virtual_services[0].scheduler: virtual service `my web`: invalid value `least-connection`
          = one of `rr`, `wrr`, `lc`, `wlc`, `sh`, `mh`, `sed`, `nq`, `fo`, `ovf`, `lblc`, `lblcr`, `dh`
          ? write `lc`
        9:38 virtual_services[0].real_servers[0].weight: virtual service `my web`: 65536 is too large
          = a whole number 0-65535
          ? `weight`: Share of new connections; 0 quiesces.
        """,
    ),
    "one port without a list is called by its key": (
        """
        virtual_services:
        - {name: web, address: 192.0.2.10, ports: 0, forwarding: nat}
        """,
        """
        2:43 virtual_services[0].ports: virtual service `web`: `0` is outside the ports 1-65535
          = a port 1-65535, or a range such as `8000-8010`
          ? `ports`: `all`, a port, or a list of ports and `low-high` ranges.
        """,
    ),
    "free keys": (
        """
        networks:
          out side: {}
          inside: {shared_addresses: [10.0.0.1, 10.0.0.2/33, 5]}
        """,
        """
        2:3 networks.out side: invalid name `out side`
          = a name of letters, digits, `_`, `.` and `-`, 63 at most, the first a letter or digit
        3:31 networks.inside.shared_addresses[0]: `10.0.0.1` lacks the prefix length of its subnet; \
write `10.0.0.1/24`
          = an address with the prefix length of its subnet, such as `192.0.2.10/24`
          ? `shared_addresses`: Addresses that the active director holds, with the subnet's prefix length.
        3:41 networks.inside.shared_addresses[1]: `10.0.0.2/33` needs a prefix length of 1-32
          = an address with the prefix length of its subnet, such as `192.0.2.10/24`
          ? `shared_addresses`: Addresses that the active director holds, with the subnet's prefix length.
        3:54 networks.inside.shared_addresses[2]: found the number `5`
          = an address with the prefix length of its subnet, such as `192.0.2.10/24`
          ? `shared_addresses`: Addresses that the active director holds, with the subnet's prefix length.
        """,
    ),
    "the document as a whole": (
        "- name: web\n",
        """
        1:1: found a list
          = a mapping with the keys `networks`, `kernel`, `virtual_services`, `edge`
        """,
    ),
    "faults and conflicts together": (
        """
        virtual_services:
          - name: web
            address: 192.0.2.10
            ports: 80
            forwarding: nat
            scheduler: wlcc
            scheduler_flags: [sh-port]
            real_servers:
              - {address: 10.0.0.11, wieght: 3}
              - {address: oops}
              - {address: 192.0.2.10}
          - {name: web, address: 192.0.2.10, ports: 70-90, forwarding: nat}
        """,
        """
        6:16 virtual_services[0].scheduler: virtual service `web`: invalid value `wlcc`
          = one of `rr`, `wrr`, `lc`, `wlc`, `sh`, `mh`, `sed`, `nq`, `fo`, `ovf`, `lblc`, `lblcr`, `dh`
          ? did you mean `wlc`?
        9:30 virtual_services[0].real_servers[0].wieght: virtual service `web`: unknown key `wieght`
          = one of the keys `address`, `port`, `weight`, `upper_threshold`, `lower_threshold`, `name`
          ? did you mean `weight`?
        10:19 virtual_services[0].real_servers[1].address: virtual service `web`: `oops` is not an IP address
          = an IPv4 or IPv6 address, such as `192.0.2.10` or `"2001:db8::10"`
          ? `address`: Its own address, not the virtual one.
        11:19 virtual_services[0].real_servers[2].address: virtual service `web`: real server 192.0.2.10 \
is a virtual address of the director (web: line 3)
          = an address of the machine itself
          ? with dsr and tunnel, too, name the address that the machine has beside the virtual one
        12:12 virtual_services[1].name: virtual service `web`: name `web` is given twice (the first: line 2)
          = a name of its own
          ? rename one of them
        12:45 virtual_services[1].ports: virtual service `web`: overlaps virtual service `web` on \
192.0.2.10, tcp port 80 (there: line 4)
          = ports that no other service has on this address
          ? merge the two, or give one of them another address or other ports
        """,
    ),
}

SERVICE_KEYS = (
    "`name`, `address`, `network`, `protocol`, `ports`, `port_following`, `mark`, `forwarding`, `one_armed`, "
    "`tunnel`, `scheduler`, `scheduler_flags`, `persistence`, `persistence_engine`, `one_packet`, `drain`, "
    "`real_servers`, `sorry_server`, `check`, `quorum`, `hysteresis`, `all_down`, `on_down`, `slow_start`, "
    "`adaptive`"
)


@pytest.mark.parametrize(("document", "expected"), CASES.values(), ids=CASES)
def test_every_problem_is_reported_at_once_with_its_place(document: str, expected: str) -> None:
    found = refused(document).replace(f"one of the keys {SERVICE_KEYS}", "KEYS").replace(SERVICE_KEYS, "KEYS")
    assert found == expect(expected)


def test_error_counts_its_problems() -> None:
    with pytest.raises(ConfigError) as caught:
        load_site(b"{a: 1, b: 2}", FILE)
    assert caught.value.message == "2 problems in the configuration"


def test_problems_are_limited_and_say_so() -> None:
    bad = ",".join(["{address: x}"] * 5000)
    document = service(servers=bad)
    with pytest.raises(ConfigError) as caught:
        load_site(document.encode(), FILE)
    assert len(caught.value.problems) == 1001
    assert caught.value.problems[-1].message == "more than 1000 problems"


def test_long_values_are_shortened_and_kept_on_one_line() -> None:
    found = refused('virtual_services: "' + "x" * 5000 + '\\nINJECTED: line"')
    assert "`" + "x" * 57 + "...`" in found
    assert "INJECTED" not in found


def test_key_cannot_drive_the_terminal() -> None:
    found = refused('"a\\e[31m\\nb": 1')
    assert "\x1b" not in found
    assert found.splitlines()[0] == r"1:1 a\x1b[31m\nb: unknown key `a\x1b[31m\nb`"


def test_value_cannot_drive_the_terminal() -> None:
    found = refused(service(base={"address": '"10.0.0.1\\e[31m\\n"'}))
    assert r"`10.0.0.1\x1b[31m\n` is not an IP address" in found


def test_warnings_are_apart_from_problems() -> None:
    document = text_of("virtual_services: [{name: web, address: 192.0.2.10, ports: 80, forwarding: nat}]")
    assert blocks(site_warnings(load_site(document, FILE), document, FILE)) == expect(
        """
        1:20 virtual_services[0]: virtual service `web`: no real server takes connections: \
it has no real servers
          = at least one real server
          ? add a real server or a `sorry_server`
        """
    )


def test_node_is_loaded() -> None:
    node = load_node(b"name: lb1\ninterfaces: {outside: eth0, inside: bond0.7}\n", FILE)
    assert (node.name, node.role, node.interfaces) == (
        "lb1",
        "first",
        {"outside": "eth0", "inside": "bond0.7"},
    )


def test_faults_of_a_node_document_are_reported_alike() -> None:
    with pytest.raises(ConfigError) as caught:
        load_node(text_of("role: master\ninterfaces: {outside: eth0/1}\n"), FILE)
    assert blocks(caught.value.problems) == expect(
        """
        1:1 name: `name` is missing
          = a name of letters, digits, `_`, `.` and `-`, 63 at most, the first a letter or digit
          ? `name`: Name of this director.
        1:7 role: invalid value `master`
          = one of `first`, `second`
          ? write `first`
        2:23 interfaces.outside: invalid value `eth0/1`
          = a network device, 15 characters at most, such as `eth0`
          ? `interfaces`: Device by network name, such as `outside: eth0`.
        """
    )


def test_node_must_name_the_devices_that_the_site_needs() -> None:
    site = load_site(text_of(MINIMAL), FILE)
    text = b"name: lb1\ninterfaces: {inside: eth1}\n"
    assert blocks(node_problems(site, load_node(text, FILE), text, FILE)) == expect(
        """
        2:1 interfaces.outside: no device for network `outside`, which virtual service `web` needs
          = the network device that leads there
          ? add `outside: eth0` with the right device to `interfaces`
        """
    )


def _twice(part: ValidPart[Atlas]) -> Iterator[Violation]:
    """A check of our own: each record once."""
    for index, zone in enumerate(part.document.geo.zones):
        ttls = [record.ttl for record in zone.records]
        for place, ttl in enumerate(ttls):
            if ttl in ttls[:place]:
                path = ("geo", "zones", index, "records", place, "ttl")
                yield Violation(path, f"{ttl} is given twice", "each once", "remove it")


def test_document_of_another_shape_needs_its_models_only() -> None:
    document = text_of("""
        geo:
          zones:
          - name: a
            records: [{name: x, ttl: 0}, {ttl: 5}, {name: y, tll: 5}, {name: z, ttl: 5}]
          - {nmae: b}
    """)
    with pytest.raises(ConfigError) as caught:
        load_document(Atlas, document, FILE, _twice)
    assert blocks(caught.value.problems) == expect("""
        4:30 geo.zones[0].records[0].ttl: zone `a`, record `x`: 0 is too small
          = a whole number 1-60
        4:44 geo.zones[0].records[2].ttl: zone `a`, record `y`: `ttl` is missing
          = a whole number 1-60
        4:54 geo.zones[0].records[2].tll: zone `a`, record `y`: unknown key `tll`
          = one of the keys `name`, `ttl`
          ? did you mean `ttl`?
        4:78 geo.zones[0].records[3].ttl: zone `a`, record `z`: 5 is given twice
          = each once
          ? remove it
        5:5 geo.zones[1].name: `name` is missing
          = a name of letters, digits, `_`, `.` and `-`, 63 at most, the first a letter or digit
        5:6 geo.zones[1].nmae: unknown key `nmae`
          = one of the keys `name`, `records`
          ? did you mean `name`?
    """)
