from kernelbal.model.address import AF_INET6
from kernelbal.model.ipvs import Protocol
from kernelbal.plan.explain.query import NO_CONNECTIONS
from tests.unit.plan.explain.scene import address, query, real_server, service, service_key, view


def test_text_of_a_query() -> None:
    assert str(query()) == "198.51.100.7 -> 192.0.2.10:80/tcp"
    asked = query(53, protocol=Protocol.UDP, client_port=4711)
    assert str(asked) == "198.51.100.7:4711 -> 192.0.2.10:53/udp"
    ipv6 = query(80, address("2001:db8::7"), virtual=address("2001:db8::10"))
    assert (str(ipv6), ipv6.family) == ("2001:db8::7 -> [2001:db8::10]:80/tcp", AF_INET6)


def test_counters_that_nobody_read_are_zero() -> None:
    assert view().counters_of(service_key(), real_server(11)) == NO_CONNECTIONS


def test_title_has_the_name_of_the_site_file() -> None:
    key = service_key()
    assert view(service()).title(key) == "192.0.2.10:80/tcp"
    assert view(service(), service_names={key: "web"}).title(key) == "`web` 192.0.2.10:80/tcp"
