"""The three things that a judge can say."""

from kernelbal.realserver.verify.row import Finding, Verdict, fail, ok, skipped


def test_words() -> None:
    assert ok("up", "eth0") == Finding(Verdict.OK, "up", interface="eth0")
    assert fail("down", "up with it", because="vip") == Finding(Verdict.FAIL, "down", "up with it", "", "vip")
    assert skipped("no port") == Finding(Verdict.SKIPPED, "no port")
