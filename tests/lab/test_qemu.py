"""One look at a distribution's stock kernel: modules load by themselves, without a capability for it, and the
lab works there too.
"""

import sys
from pathlib import Path

import pytest

from kernelbal.lab.backends.base import GuestCommand, StandardStreams
from kernelbal.lab.backends.qemu import QemuBackend

SMOKE = """\
set -e
modprobe --remove ip_vs
as_the_unit="setpriv --bounding-set=-all,+net_admin,+net_raw,+setuid,+setgid,+kill --no-new-privs"
$as_the_unit "$0" -c "from kernelbal.kernel.ipvs.table import IpvsTable; IpvsTable.open().close()"
grep -qw ip_vs /proc/modules
$as_the_unit ipvsadm -A -t 192.0.2.1:80 -s mh
grep -qw ip_vs_mh /proc/modules
$as_the_unit nft add table inet smoke
"$0" -m pytest -q -p no:cacheprovider tests/lab/test_guest.py
"""
LIMIT_S = 600.0
"""Software emulation on a busy machine takes a minute; the first run also fetches the kernel."""


@pytest.mark.slow
def test_stock_kernel_runs_the_lab(tmp_path: Path) -> None:
    backend = QemuBackend()
    refusal = backend.refusal()
    if refusal is not None:
        pytest.skip(str(refusal))
    root = Path(__file__).resolve().parents[2]
    command = GuestCommand(("sh", "-c", SMOKE, sys.executable), root, timeout_s=LIMIT_S)
    with (tmp_path / "out").open("wb") as out:
        status = backend.run(command, StandardStreams(out.fileno(), out.fileno()))
    assert status == 0, (tmp_path / "out").read_text(errors="replace")
    assert "6 passed" in (tmp_path / "out").read_text()
