"""Every kind of probe has its driver, and all run side by side."""

import os
import pwd

from kernelbal.health.checks.table import ProbeTransport, method_of
from kernelbal.model.health import Health, Timing
from kernelbal.model.site.check import NoCheck, ScriptCheck, SshCheck, TcpCheck, UdpCheck
from tests.unit.runtime.checker.desk import Desk, probe, serving

PATIENT = Timing(0.2, 10.0, rise=1, fall=1)
"""A program takes long to start on a busy machine."""


def test_different_probes_run_side_by_side() -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    with serving(lambda connection: connection.sendall(b"SSH-2.0-x\r\n")) as port, Desk() as desk:
        probes = [
            probe(NoCheck(), key="none"),
            probe(TcpCheck(), port, key="connect"),
            probe(SshCheck(), port, key="stream"),
            probe(UdpCheck(), port, key="datagram"),
            probe(ScriptCheck(argv=("/bin/true",), user=me, allow_root=True), key="script", timing=PATIENT),
        ]
        assert {method_of(each).transport for each in probes} == set(ProbeTransport) - {ProbeTransport.ICMP}
        desk.send(*probes)
        desk.until(lambda: len(desk.states) == len(probes))
    down = {"datagram"}  # the kernel says that nobody listens
    assert {key for key, state in desk.states.items() if state.health is Health.DOWN} == down
