"""Checks of real servers whose settings do not fit together, or not their virtual service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kernelbal.config.checks.context import CheckedService, SiteContext
from kernelbal.config.checks.program import program_conflicts
from kernelbal.config.violation import Path, Violation, shown
from kernelbal.health.defaults import default_protocol, has_port
from kernelbal.health.path_marks import PATH_MARK_BASE, PATH_MARK_MASK, VERIFY_MARK_BASE
from kernelbal.health.probe_templates import check_templates, checked_ports
from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import ForwardingName, Through
from kernelbal.model.health import Probe, Target
from kernelbal.model.site.check import (
    CheckProtocol,
    HttpCheck,
    HttpsCheck,
    LdapCheck,
    MailCheck,
    ScriptCheck,
    TlsCheck,
    TlsSettings,
)
from kernelbal.model.site.services import VirtualService
from kernelbal.model.text import one_line
from kernelbal.model.units import ALL_PORTS, format_duration
from kernelbal.plan.marks import MARK_BASE

MIN_INTERVAL_S: Final = 0.1
"""Shortest time from probe to probe."""
MIN_TIMEOUT_S: Final = 0.01
"""Shortest time that a probe gets."""
FRAMING_HEADERS: Final = frozenset({"content-length", "transfer-encoding"})
"""Headers that say where a request ends, which is not the author's to say."""

_OUR_MARKS: Final = frozenset({MARK_BASE, PATH_MARK_BASE, VERIFY_MARK_BASE})
_PATTERNS: Final = {"http": "matches", "https": "matches", "udp": "expect"}
"""The regular expression of a protocol."""
_MAX_CHARACTERS: Final = 200


def one_protocol(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A real server is asked in one way."""
    kinds = [protocol.kind for protocol in subject.service.check.protocols]
    for kind in kinds[1:]:
        message = f"a second protocol beside `{kinds[0]}`"
        hint = "remove one of them; a second virtual service, or a `script`, may check more"
        yield subject.violation(("check", kind), message, "at most one protocol", hint)


def rhythm(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A probe ends before the next one begins."""
    check = subject.service.check
    yield from timing_conflicts(subject, "check", check.interval, check.timeout)


def timing_conflicts(
    subject: CheckedService, key: str, interval_s: float, timeout_s: float
) -> Iterator[Violation]:
    """Yield what is wrong with an interval and a timeout below `key`."""
    interval = format_duration(interval_s)
    if interval_s < MIN_INTERVAL_S:
        least = format_duration(MIN_INTERVAL_S)
        hint = "several seconds are usual: each probe costs the real server work"
        yield subject.violation((key, "interval"), f"an interval of {interval}", f"at least `{least}`", hint)
    elif timeout_s > interval_s:
        message = f"a timeout of {format_duration(timeout_s)} with an interval of {interval}"
        hint = "shorten `timeout`, or lengthen `interval`"
        yield subject.violation((key, "timeout"), message, f"at most `{interval}`", hint)
    if timeout_s < MIN_TIMEOUT_S:
        message = f"a timeout of {format_duration(timeout_s)}"
        hint = "a second or more is usual"
        yield subject.violation(
            (key, "timeout"), message, f"at least `{format_duration(MIN_TIMEOUT_S)}`", hint
        )


def check_port(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A port is probed by a protocol that has ports."""
    service = subject.service
    protocol = _protocol(service)
    if service.check.port is not None and not (has_port(protocol) or isinstance(protocol, ScriptCheck)):
        hint = "remove it, or name a protocol with ports, such as `tcp`"
        yield subject.violation(("check", "port"), f"a port for check `{protocol.kind}`", "no port", hint)


def check_of_all_ports(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """With `ports: all`, the port to probe must be named."""
    service = subject.service
    if service.ports[0] != ALL_PORTS or checked_ports(service)[0]:
        return
    protocol = _protocol(service)
    if has_port(protocol) and not protocol.port:
        message = f"check `{protocol.kind}` of `ports: all` without a port"
        yield subject.violation(("check",), message, "a port 1-65535", "add `port` to the check")


def through(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Only dsr and tunnel take probes to the virtual address, led by a mark of ours."""
    service, check = subject.service, subject.service.check
    if check.through is not Through.VIRTUAL:
        return
    if service.forwarding is ForwardingName.NAT:
        message = "a check through the virtual address with forwarding `nat`"
        hint = "remove the key: with nat, real servers never see the virtual address"
        yield subject.violation(("check", "through"), message, "`real`", hint)
    elif not has_port(protocol := _protocol(service)):
        message = f"check `{protocol.kind}` through the virtual address"
        hint = "name a protocol with ports, such as `tcp`, or remove the key"
        yield subject.violation(("check", "through"), message, "`real`", hint)
    for key, value in (("address", check.address), ("mark", check.mark)):
        if value is not None:
            message = f"`{key}` in a check through the virtual address"
            hint = f"remove `{key}`, or write `through: real`"
            yield subject.violation(("check", key), message, f"no `{key}`", hint)


def marks(subjects: Sequence[CheckedService], _: SiteContext) -> Iterator[Violation]:
    """The mark of a probe leads it past the virtual services, not into one."""
    services = {subject.service.mark: subject for subject in subjects if subject.service.mark is not None}
    for subject in subjects:
        mark = subject.service.check.mark
        if mark is None:
            continue
        holder = services.get(mark)
        if holder is not None:
            other = (holder.path("mark"), holder.title)
            yield _mark_taken(subject, f"mark {mark} is that of a virtual service", other)
        elif mark & ~PATH_MARK_MASK in _OUR_MARKS:
            yield _mark_taken(subject, f"mark {mark:#x} is one that kernelbal gives by itself", None)


def _mark_taken(subject: CheckedService, message: str, other: tuple[Path, str] | None) -> Violation:
    hint = "use another one; your routing rules say which"
    return subject.violation(("check", "mark"), message, "a mark for probes alone", hint, other)


def source(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """Source and target of a probe are of one family."""
    service, check = subject.service, subject.service.check
    if check.source is None:
        return
    tunneled = service.forwarding is ForwardingName.TUNNEL
    targets = [Address(check.address)] if check.address is not None else subject.addresses
    if check.address is None and tunneled:
        targets = [*targets, Address(service.address)]
    if not targets or any(len(target) == len(check.source) for target in targets):
        return
    shown_source = format_address(Address(check.source))
    message = f"source {shown_source} for probes of {format_address(targets[0])}"
    hint = "remove the key: the routing table then chooses it"
    yield subject.violation(("check", "source"), message, "an address of the same family", hint)


def usable(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """What no probe could be made of: regular expressions, DNS names, RADIUS attributes."""
    protocols = subject.service.check.protocols
    if len(protocols) != 1 or not protocols[0].model_fields_set:
        return
    from kernelbal.health.checks.table import method_of  # loads every protocol; a site by defaults needs none

    nowhere = Target(Address(bytes(4)), 1, "", Address(bytes(4)))
    for question in check_templates(subject.service)[:1]:
        try:
            method_of(Probe("", question.protocol, nowhere, question.timing))
        except ValueError as error:
            yield _unusable(subject, protocols[0], str(error))


def _unusable(subject: CheckedService, protocol: CheckProtocol, why: str) -> Violation:
    pattern = _PATTERNS.get(protocol.kind)
    steps = ("check", protocol.kind, *((pattern,) if pattern else ()))
    expected, hint = "values that the protocol can carry", "fix it, or remove the key"
    if pattern:
        expected = "a regular expression of RE2 (https://github.com/google/re2/wiki/Syntax)"
        hint = "RE2 has no backreferences, no look-around, `\\z` for `\\Z`; use `contains` or a `script`"
    return subject.violation(steps, one_line(why)[:_MAX_CHARACTERS], expected, hint)


def http_body(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """HEAD brings no body, and only POST takes one."""
    for check in subject.service.check.protocols:
        if not isinstance(check, HttpCheck):
            continue
        for key in ("contains", "matches"):
            if check.method == "HEAD" and getattr(check, key) is not None:
                message = f"`{key}` with method HEAD, whose replies have no body"
                hint = "write `method: GET`"
                yield subject.violation(("check", check.kind, key), message, "method GET", hint)
        if check.body and check.method != "POST":
            message = f"a request body with method {check.method}"
            hint = "write `method: POST`"
            yield subject.violation(("check", check.kind, "body"), message, "method POST", hint)


def http_headers(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """The checker itself says how long its request is; each header is given once."""
    for check in subject.service.check.protocols:
        headers = check.headers if isinstance(check, HttpCheck) else {}
        seen: set[str] = set()
        for name in headers:
            if name.lower() in FRAMING_HEADERS or name.lower() in seen:
                twice = "twice, in other letters" if name.lower() in seen else "which the checker writes"
                message = f"header `{shown(name)}`, {twice}"
                path = subject.path("check", check.kind, "headers", name)
                yield Violation(path, message, "other headers, each once", "remove it", at_key=True)
            seen.add(name.lower())


def script_program(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """A script is found by its full path, as the daemon has no search path, and does not run as root."""
    place = subject.path("check", "script")
    for check in subject.service.check.protocols:
        if isinstance(check, ScriptCheck):
            yield from program_conflicts((*place, "argv"), check.argv[0], (*place, "user"), check)


def ca_file(subject: CheckedService, _: SiteContext) -> Iterator[Violation]:
    """CA certificates are in a file with a full path, and serve to verify."""
    for check in subject.service.check.protocols:
        steps, tls = _tls_of(check)
        if tls is None or tls.ca_file is None:
            continue
        place = ("check", check.kind, *steps, "ca_file")
        if not tls.ca_file.startswith("/"):
            hint = "write where the file is, such as `/etc/ssl/certs/ca.pem`"
            yield subject.violation(place, f"file `{shown(tls.ca_file)}`", "a full path", hint)
        elif not tls.verify:
            hint = "add `verify: true`, or remove the key"
            yield subject.violation(place, "CA certificates without `verify`", "`verify: true`", hint)


def _tls_of(check: CheckProtocol) -> tuple[tuple[str, ...], TlsSettings | None]:
    if isinstance(check, MailCheck | LdapCheck):
        return ("tls",), check.tls
    return (), check if isinstance(check, TlsCheck | HttpsCheck) else None


def _protocol(service: VirtualService) -> CheckProtocol:
    """Return the protocol that is named, or that of the first port."""
    named = service.check.protocols
    return named[0] if named else default_protocol(service.protocol, checked_ports(service)[0])
