"""How many real servers a virtual service needs, and how much of the work each gets: what does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kernelbal.config.checks.context import CheckedService, SiteContext
from kernelbal.config.checks.probing import timing_conflicts
from kernelbal.config.violation import Violation
from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import AllDown, Scheduler
from kernelbal.model.units import counted

ADAPTIVE_SOURCES: Final = ("http_agent", "text_agent", "response_time")

_EFFECT_OF_WEIGHTS: Final = {
    **dict.fromkeys((Scheduler.RR, Scheduler.LC, Scheduler.DH), "ignores weights"),
    **dict.fromkeys((Scheduler.SH, Scheduler.MH), "moves clients to other real servers when weights change"),
    Scheduler.FO: "gives everything to the highest weight",
}
"""Schedulers for which a weight is no share of the work (`ip_vs_rr.c`, `ip_vs_sh.c`, `ip_vs_fo.c`, ...)."""


def hysteresis(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Something must be left below which the service goes down."""
    service = subject.service
    if service.hysteresis >= service.quorum:
        message = f"hysteresis {service.hysteresis} with quorum {service.quorum}: it would never go down"
        hint = f"write `hysteresis: {service.quorum - 1}`, or raise `quorum`"
        yield subject.violation(("hysteresis",), message, f"at most {service.quorum - 1}", hint)


def quorum(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """The real servers can reach the quorum."""
    service = subject.service
    count, wanted = len(service.real_servers), service.quorum + service.hysteresis
    if wanted == 1 or wanted <= count:
        return
    servers = counted(count, "real server")
    if service.quorum > count:
        message = f"quorum {service.quorum} with {servers}: it would always be down"
    else:
        message = f"quorum {service.quorum} and hysteresis {service.hysteresis} with {servers}: "
        message += "once down, it would never come back"
    expected = f"{max(count, 1)} at most, hysteresis included"
    yield subject.violation(("quorum",), message, expected, "lower it, or add real servers")


def sorry_when_down(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Only a sorry server can say sorry."""
    service = subject.service
    if service.all_down is AllDown.SORRY and service.sorry_server is None:
        message = "`all_down: sorry` without a sorry server"
        hint = "add `sorry_server: {address: 10.0.0.99}`, or write `all_down: refuse`"
        yield subject.violation(("all_down",), message, "a key `sorry_server`", hint)


def adaptive_source(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Weights follow one source."""
    adaptive = subject.service.adaptive
    if adaptive is None:
        return
    named = [key for key in ADAPTIVE_SOURCES if getattr(adaptive, key) is not None]
    for key in named[1:]:
        message = f"a second source beside `{named[0]}`"
        yield subject.violation(("adaptive", key), message, "one source", "remove one of them")
    if not named:
        choice = ", ".join(f"`{key}`" for key in ADAPTIVE_SOURCES)
        hint = "add one, such as `response_time: {}`, or remove `adaptive`"
        yield subject.violation(("adaptive",), "adaptive weights without a source", f"one of {choice}", hint)


def adaptive_rhythm(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """An agent has answered before it is asked again."""
    adaptive = subject.service.adaptive
    if adaptive is not None:
        yield from timing_conflicts(subject, "adaptive", adaptive.interval, adaptive.timeout)


def response_time_of_nothing(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Without checks there are no response times."""
    service = subject.service
    measured = service.adaptive is not None and service.adaptive.response_time is not None
    if measured and service.check.none is not None:
        message = "weights by response time with `check: none`: nothing is measured"
        hint = "name a protocol in `check`, or use an agent"
        yield subject.violation(("adaptive", "response_time"), message, "a check", hint)


def unused_sorry_server(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A sorry server that is never asked to answer."""
    service = subject.service
    if service.sorry_server is not None and service.all_down in {AllDown.REFUSE, AllDown.WITHDRAW}:
        message = f"`all_down: {service.all_down.value}` leaves the sorry server unused"
        hint = "remove `all_down`, or remove `sorry_server`"
        yield subject.violation(("all_down",), message, "`sorry`", hint)


def withdrawn_with_others(subject: CheckedService, context: SiteContext) -> Iterator[Violation]:
    """The address goes with all its services."""
    service = subject.service
    if service.all_down is not AllDown.WITHDRAW or Address(service.address) not in context.crowded:
        return
    for other in context.subjects:
        if other is not subject and other.service.address == service.address:
            address = format_address(Address(service.address))
            message = f"`all_down: withdraw` withdraws {address} from other virtual services as well"
            hint = "use an address of its own, or `all_down: refuse`"
            place = (other.path("address"), other.title)
            yield subject.violation(("all_down",), message, "an address of its own", hint, place)
            return


def ramp_of_ignored_weights(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Slow start needs a scheduler for which a weight is a share."""
    service = subject.service
    effect = _EFFECT_OF_WEIGHTS.get(service.scheduler)
    if effect and service.slow_start:
        message = f"slow start with scheduler `{service.scheduler.value}`, which {effect}"
        yield subject.violation(("slow_start",), message, "a scheduler with shares", "use `wlc` or `wrr`")


def adaptive_of_ignored_weights(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """So do adaptive weights."""
    service = subject.service
    effect = _EFFECT_OF_WEIGHTS.get(service.scheduler)
    if effect and service.adaptive is not None:
        message = f"adaptive weights with scheduler `{service.scheduler.value}`, which {effect}"
        yield subject.violation(("adaptive",), message, "a scheduler with shares", "use `wlc` or `wrr`")
