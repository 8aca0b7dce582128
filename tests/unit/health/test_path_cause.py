"""The reason for a failing path names what an operator should look at."""

from kernelbal.health.path_cause import explain_path
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.site import ForwardingName

SILENT = ProbeState(Health.DOWN, reason="no answer within 4 s")


def test_a_good_path_needs_no_explanation() -> None:
    assert explain_path(ProbeState(Health.UP), ProbeState(Health.UP), ForwardingName.DSR) == ""


def test_a_server_that_fails_by_its_own_address_is_itself_the_cause() -> None:
    direct = ProbeState(Health.DOWN, reason="connection refused")
    assert explain_path(SILENT, direct, ForwardingName.DSR) == "connection refused"
