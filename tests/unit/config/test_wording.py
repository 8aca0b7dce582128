"""Values in words."""

import pytest

from kernelbal.config.violation import Path
from kernelbal.config.wording import describe, key_of, setting_at
from kernelbal.model.site import Site
from kernelbal.model.site.check import Check, HttpsCheck
from kernelbal.model.site.services import RealServer

SERVICE: Path = ("virtual_services", 0)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ((), "a mapping with the keys `networks`, `kernel`, `virtual_services`, `edge`"),
        (("networks",), "a mapping"),
        (("networks", "outside"), "a mapping with the keys `shared_addresses`"),
        ((*SERVICE, "mark"), "a whole number 1-4294967295"),
        ((*SERVICE, "network"), "text"),
        ((*SERVICE, "one_armed"), "`true` or `false`"),
        ((*SERVICE, "persistence_engine"), "`sip`"),
        ((*SERVICE, "protocol"), "one of `tcp`, `udp`, `sctp`"),
        (
            (*SERVICE, "scheduler_flags"),
            "a list, each item one of `sh-fallback`, `sh-port`, `mh-fallback`, `mh-port`",
        ),
        ((*SERVICE, "real_servers"), "a list, each item a mapping"),
        ((*SERVICE, "drain"), "a duration with its unit, such as `300ms`, `9s`, `5m`, `1h`, `2d`"),
        ((*SERVICE, "ports", 1), "a port 1-65535, or a range such as `8000-8010`"),
        (("kernel", "sysctls", "conntrack"), "a whole number or text"),
        ((*SERVICE, "check"), "a protocol such as `icmp`, or a mapping such as `{http: {path: /health}}`"),
        (
            (*SERVICE, "check", "dns"),
            "a mapping with the keys `query`, `type`, `transport`, `rcode`, `answer`",
        ),
        ((*SERVICE, "check", "http", "expect", 1), "an HTTP status such as `200`, `2xx` or `200-204`"),
        ((*SERVICE, "check", "imap", "encryption"), "one of `none`, `starttls`, `implicit`"),
    ],
)
def test_setting_in_words(path: Path, words: str) -> None:
    assert describe(setting_at(Site, path)) == words


def test_setting_knows_its_field_and_model() -> None:
    weight = setting_at(Site, (*SERVICE, "real_servers", 3, "weight"))
    assert weight.field is RealServer.model_fields["weight"]
    assert setting_at(Site, (*SERVICE, "real_servers", 3)).model is RealServer
    assert setting_at(Site, (*SERVICE, "ports", 3)).key == "ports"


def test_value_with_a_shorthand_is_a_mapping_all_the_same() -> None:
    assert setting_at(Site, (*SERVICE, "check")).model is Check
    assert setting_at(Site, (*SERVICE, "check", "https", "verify")).field is HttpsCheck.model_fields["verify"]
    assert setting_at(Site, ("networks", "outside", "shared_addresses", 0)).model is None


def test_keys_of_a_free_mapping_have_words_of_their_own() -> None:
    headers = setting_at(Site, (*SERVICE, "check", "http", "headers"))
    key = key_of(headers)
    assert key is not None
    assert describe(key) == "the name of an HTTP header, such as `X-Probe` (RFC 9110 5.1)"
    assert key_of(setting_at(Site, SERVICE)) is None


def test_path_that_leads_outside_stops_at_the_last_setting() -> None:
    assert setting_at(Site, (*SERVICE, "real_servers", 3, "colour", "x")).model is RealServer
