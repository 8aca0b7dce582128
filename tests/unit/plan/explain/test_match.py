import pytest

from kernelbal.model.ipvs import Protocol, ServiceKey
from kernelbal.plan.explain.match import find_service, service_step
from kernelbal.plan.explain.result import StepVerdict
from tests.unit.plan.explain.scene import address, mark_key, query, service, service_key, view

OTHER_ADDRESS = address("192.0.2.11")
EXACT, ANY_PORT, FTP = service_key(80), service_key(0), service_key(21)
MARK = mark_key(7)
MARK_OF_IPV6 = MARK._replace(family=10)


@pytest.mark.parametrize(
    ("there", "port", "mark", "expected"),
    [
        ([EXACT, ANY_PORT, MARK], 80, 7, MARK),
        ([EXACT, ANY_PORT, MARK], 80, 0, EXACT),
        ([EXACT, ANY_PORT], 80, 7, EXACT),
        ([MARK], 80, 8, None),
        ([MARK_OF_IPV6], 80, 7, None),
        ([EXACT, ANY_PORT], 81, 0, ANY_PORT),
        ([EXACT], 81, 0, None),
        ([service_key(80, Protocol.UDP)], 80, 0, None),
        ([service_key(80, virtual=OTHER_ADDRESS)], 80, 0, None),
        ([FTP, ANY_PORT], 20, 0, FTP),
        ([FTP, ANY_PORT], 40000, 0, FTP),
        ([FTP, ANY_PORT], 1023, 0, ANY_PORT),
        ([FTP, service_key(40000)], 40000, 0, service_key(40000)),
    ],
)
def test_order_of_the_kernels_search(
    there: list[ServiceKey], port: int, mark: int, expected: ServiceKey | None
) -> None:
    match = find_service({key: service() for key in there}, query(port), mark)
    assert (match.key if match else None) == expected


def test_ftp_is_tcp_alone() -> None:
    services = {service_key(21, Protocol.UDP): service()}
    assert find_service(services, query(40000, protocol=Protocol.UDP), 0) is None


def test_reason_of_a_match() -> None:
    match, step = service_step(query(), view(service(), service_names={EXACT: "web"}), 0, local=True)
    assert match is not None
    assert step.verdict is StepVerdict.MATCHED
    assert step.reason == "service `web` 192.0.2.10:80/tcp matches by address and port"


def test_without_a_service_the_directors_own_stack_answers() -> None:
    match, step = service_step(query(81), view(service()), 0, local=True)
    assert (match, step.verdict) == (None, StepVerdict.NO_SERVICE)
    assert "no service for 192.0.2.10:81/tcp (on this address: 192.0.2.10:80/tcp)" in step.reason
    assert "reset (connection refused)" in step.reason


def test_without_a_service_elsewhere_nothing_is_said_about_answers() -> None:
    _, step = service_step(query(81), view(), 0, local=False)
    assert "own stack" not in step.reason


def test_kernel_without_ipvs() -> None:
    match, step = service_step(query(), view(service(), ipvs_available=False), 0, local=True)
    assert match is None
    assert "modprobe ip_vs" in step.reason


def test_many_neighbours_are_counted() -> None:
    services = {service_key(port): service() for port in range(1000, 1009)}
    _, step = service_step(query(), view(services=services), 0, local=True)
    assert "and 4 more)" in step.reason
