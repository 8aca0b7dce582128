"""The sysctls of a director."""

import pytest

from kernelbal.plan.sysctls import IPVS_SYSCTLS, ipvs_sysctls, no_redirects


def _values(overrides: dict[str, int | str]) -> dict[str, tuple[str, bool]]:
    return {sysctl.path: (sysctl.value, sysctl.optional) for sysctl in ipvs_sysctls(overrides)}


def test_recommended_values_are_written_where_the_kernel_has_them() -> None:
    assert _values({}) == {
        "net/ipv4/vs/conn_reuse_mode": ("1", True),
        "net/ipv4/vs/expire_nodest_conn": ("1", True),
        "net/ipv4/vs/expire_quiescent_template": ("1", True),
        "net/ipv4/vs/snat_reroute": ("1", True),
    }


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("expire_nodest_conn", 0, "0"), ("sync_threshold", "2 50", "2 50"), ("sloppy_tcp", 1, "1")],
)
def test_site_file_replaces_and_extends_them_and_then_they_must_exist(
    name: str, value: int | str, text: str
) -> None:
    assert _values({name: value})[f"net/ipv4/vs/{name}"] == (text, False)


def test_every_sysctl_has_a_reason() -> None:
    assert all(sysctl.reason.endswith(".") for sysctl in IPVS_SYSCTLS)
    assert all(sysctl.reason.endswith(".") for sysctl in ipvs_sysctls({"sloppy_tcp": 1}))


def test_names_are_unique_and_sorted() -> None:
    names = [sysctl.name for sysctl in IPVS_SYSCTLS]
    assert names == sorted(set(names))


def test_redirects_are_off_on_all_and_on_each_device() -> None:
    paths = [sysctl.path for sysctl in no_redirects(frozenset({"eth1", "eth0.5"}))]
    assert paths == [
        "net/ipv4/conf/all/send_redirects",
        "net/ipv4/conf/eth0.5/send_redirects",
        "net/ipv4/conf/eth1/send_redirects",
    ]
