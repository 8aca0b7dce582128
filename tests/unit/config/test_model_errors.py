"""What the model says against data, and that it says all of it."""

from kernelbal.config.document import Data
from kernelbal.config.model_errors import find_model_errors
from kernelbal.config.secrets import key_path
from kernelbal.model.fields import DOCUMENT
from kernelbal.model.node import Node
from kernelbal.model.site import Site


def paths(data: Data) -> list[str]:
    return [key_path(violation.path) for violation in find_model_errors(Site, data)]


def test_faults_behind_the_first_one_of_a_long_list_are_found() -> None:
    servers: list[Data] = [{"address": "10.0.0.1"}, {}, {"address": 5}, {"address": "10.0.0.2"}, None]
    web: Data = {
        "name": "a",
        "address": "192.0.2.1",
        "ports": 80,
        "forwarding": "nat",
        "real_servers": servers,
    }
    assert paths({"virtual_services": [web, 5, {**web, "real_servers": [{}]}]}) == [
        "virtual_services[0].real_servers[1].address",
        "virtual_services[0].real_servers[2].address",
        "virtual_services[0].real_servers[4]",
        "virtual_services[1]",
        "virtual_services[2].real_servers[0].address",
    ]


def test_mapping_that_others_write_as_a_word_is_written_out() -> None:
    web: Data = {
        "name": "a",
        "address": "192.0.2.1",
        "ports": 80,
        "forwarding": "nat",
        "persistence": {"source_ip": "5m"},
        "real_servers": ["10.0.0.11"],
        "sorry_server": "10.0.0.99",
    }
    first = [violation.hint for violation in find_model_errors(Site, {"virtual_services": [web]})]
    second = find_model_errors(Site, {"virtual_services": [{**web, "persistence": "source"}]})
    assert sorted(map(str, first)) == [
        "write `{address: 10.0.0.11}`",
        "write `{address: 10.0.0.99}`",
        "write `{timeout: 5m}`",
    ]
    assert "write `{source_ip: {}}`" in [violation.hint for violation in second]


def test_key_under_a_foreign_name_is_not_missing_too() -> None:
    (violation,) = find_model_errors(Node, {"name": "a", "interface": "eth0"})
    assert violation.hint == "write `interfaces: {outside: eth0}`"
    assert "virtual_services[0].address" not in paths({"virtual_services": [{"vip": "192.0.2.1"}]})


def test_short_lists_are_limited() -> None:
    networks: Data = {f"n{number}": {} for number in range(257)}
    (violation,) = find_model_errors(Site, {"networks": networks})
    assert violation.message == "257 entries; the limit is 256"


def test_ports_are_limited() -> None:
    web: Data = {"name": "a", "address": "192.0.2.1", "ports": list(range(1, 1002)), "forwarding": "nat"}
    (violation,) = find_model_errors(Site, {"virtual_services": [web]})
    assert violation.message == "1001 ports and ranges; the limit is 1000"


def test_the_same_model_accepts_what_has_no_faults() -> None:
    data: Data = {"virtual_services": [], "networks": {}, "kernel": {}}
    assert paths(data) == []
    assert Site.model_validate(data, context=DOCUMENT) == Site()


def check_faults(check: Data) -> list[tuple[str, str, str | None]]:
    """Path, message and hint of each fault of a check."""
    web: Data = {"name": "a", "address": "192.0.2.1", "ports": 80, "forwarding": "nat", "check": check}
    found = find_model_errors(Site, {"virtual_services": [web]})
    return [(key_path(each.path[2:]), each.message, each.hint) for each in found]


def test_faults_inside_of_a_check_are_found() -> None:
    assert check_faults({"http": {"path": "health", "expect": [99, "2xx"]}, "rise": 0, "interval": 5}) == [
        ("check.http.path", "invalid value `health`", "`path`: Request target."),
        ("check.http.expect[0]", "invalid value `99`", "`expect`: Statuses that count as success."),
        (
            "check.interval",
            "`5` has no unit; write a duration such as `300ms`, `9s`, `5m`, `1h`",
            "`interval`: From the start of one probe to the next.",
        ),
        ("check.rise", "0 is too small", "`rise`: Successful probes in a row until up."),
    ]


def test_radius_needs_a_secret() -> None:
    assert check_faults("radius") == [
        ("check.radius.secret", "`secret` is missing", "`secret`: Shared secret.")
    ]


def test_neither_statuses_nor_headers_are_what_cannot_be_sent() -> None:
    assert check_faults({"http": {"expect": "204-200"}})[0][1] == ("`204-200` is reversed; write `200-204`")
    assert check_faults({"http": {"expect": []}})[0][1] == "`expect` is empty"
    assert check_faults({"http": {"headers": {"X A": "b"}}}) == [
        ("check.http.headers.X...", "invalid name `X...`", None)
    ]
    assert check_faults({"http": {"host": "x" * 2000}})[0][1] == (
        "`host` has 2000 characters; the limit is 1024"
    )


def test_secrets_are_not_repeated() -> None:
    secret = "hunter2"
    documents: list[Data] = [
        {"radius": {"secret": f"{secret}\n"}},
        {"radius": {"secret": 1234567}},
        {"radius": {"secret": [secret]}},
        {"ldap": {"password": f"{secret}\x00"}},
        {"ldap": {"password": {secret: secret}}},
        {"http": {"headers": {"Authorization": f"{secret}\x01"}}},
    ]
    for document in documents:
        faults = check_faults(document)
        assert faults
        assert secret not in str(faults)
        assert "1234567" not in str(faults)
    assert check_faults({"radius": {"secret": ""}})[0][1] == "`secret` is empty"


def test_key_that_looks_like_the_models_own_sign_is_only_a_key() -> None:
    assert paths({"[key]": None}) == ["[key]"]
    assert paths({"networks": {"[key]": {}}}) == ["networks.[key]"]
    assert check_faults({"http": {"headers": {"[key]": 5}}}) == [
        ("check.http.headers....", "invalid name `...`", None),
        ("check.http.headers....", "found a number", "put it in quotes"),
    ]
