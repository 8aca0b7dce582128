"""Which probes are not run for a while."""

from kernelbal.health.quarantine import WAITS_S, Quarantine, Quarantined


def test_each_time_lasts_longer() -> None:
    quarantine = Quarantine()
    now, waits = 0.0, []
    for _ in range(6):
        wait_s = quarantine.hold("odd", "it hangs", now)
        assert quarantine.held == {"odd": Quarantined("it hangs", now + wait_s)}
        assert not quarantine.release_due(now + wait_s - 0.1)
        now += wait_s
        assert quarantine.release_due(now)
        assert quarantine.held == {}
        waits.append(wait_s)
    assert tuple(waits) == (*WAITS_S, WAITS_S[-1], WAITS_S[-1])
    assert WAITS_S[:3] == (60, 5 * 60, 25 * 60)


def test_each_probe_has_its_own() -> None:
    quarantine = Quarantine()
    quarantine.hold("odd", "it hangs", 0.0)
    assert quarantine.hold("other", "it hangs", 30.0) == WAITS_S[0]
    assert quarantine.release_due(60.0)
    assert quarantine.held.keys() == {"other"}


def test_what_is_forgotten_begins_anew() -> None:
    quarantine = Quarantine()
    assert not quarantine.release_all()
    quarantine.hold("odd", "it hangs", 0.0)
    assert quarantine.release_all()
    assert quarantine.hold("odd", "it hangs", 0.0) == WAITS_S[0]
    quarantine.forget_others({"other"})
    assert quarantine.held == {}
    assert quarantine.hold("odd", "it hangs", 0.0) == WAITS_S[0]
