"""From a query and a view to an explanation, step by step in the order of the packet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from kernelbal.errors import InvalidRequest
from kernelbal.model.address import Address, format_address
from kernelbal.model.ipvs import DestinationKey, ServiceFlag, ServiceKey, VirtualServer
from kernelbal.model.network import Route
from kernelbal.plan.explain.classify import Classification, classifier_step
from kernelbal.plan.explain.match import ServiceMatch, own_stack, service_step
from kernelbal.plan.explain.path import path_to
from kernelbal.plan.explain.persistence import PersistenceLookup, recall
from kernelbal.plan.explain.query import ExplainQuery, FactSource, KernelView
from kernelbal.plan.explain.reply import reply_from
from kernelbal.plan.explain.result import (
    Certainty,
    ExplainOutcome,
    Explanation,
    ForwardPath,
    ReturnPath,
    SchedulerChoice,
    ServerCandidate,
    StepTopic,
    StepVerdict,
    TraceStep,
)
from kernelbal.plan.explain.schedule import SchedulerInput, SchedulerServer, availability, schedule
from kernelbal.plan.explain.translate import inbound, outbound, route_of, translation_target, whole_address
from kernelbal.plan.reachability import RouteTable

_CHOICE_VERDICTS = {Certainty.CERTAIN: StepVerdict.CHOSEN, Certainty.NOW: StepVerdict.LEADING}


def explain(query: ExplainQuery, view: KernelView) -> Explanation:
    """Return the way of a new connection through the kernel that `view` shows."""
    routes = RouteTable(view.routes)
    first = arrival(query, view, routes)
    local = first.verdict is StepVerdict.LOCAL
    target = translation_target(view.nft, query)
    if target is not None:
        return inbound(query, view, routes, target, first)
    classified, second = classifier_step(query, view)
    match, third = service_step(query, view, classified.mark, local=local)
    steps: tuple[TraceStep, ...] = (first, second, third)
    if match is None:
        leaving = None if local else outbound(query, view, routes)
        if leaving is not None:
            steps = (first, leaving)
            first = first._replace(reason=f"routed on: {leaving.reason}")
        outcome = ExplainOutcome.OWN_STACK if local else ExplainOutcome.ELSEWHERE
        answer = own_stack(query) if local else first.reason
        return Explanation(query, view.source, outcome, answer, steps, mark=classified.mark)
    found = _MatchedPacket(query, view, routes, classified, match).explanation(steps)
    if local:
        return found
    answer = f"{first.reason}; a director that holds the address would decide: {found.answer}"
    return replace(found, outcome=ExplainOutcome.ELSEWHERE, answer=answer)


def arrival(query: ExplainQuery, view: KernelView, routes: RouteTable) -> TraceStep:
    """Return whether the virtual address is local, and who has it where it is not.

    IPVS looks at packets in the input hook alone (`ip_vs_core.c`), which only local addresses reach.
    """
    shown = format_address(query.virtual)
    held = view.local(query.virtual)
    if held is not None:
        verb = "is" if view.live else "will be"
        reason = f"{shown} {verb} an address of this director, on {held.device}"
        return TraceStep(StepTopic.ADDRESS, StepVerdict.LOCAL, reason, view.source)
    desired = next((key for key in view.desired_addresses if key.address == query.virtual), None)
    if desired is not None:
        reason = (
            f"this director does not hold {shown} now; the site file puts it on {desired.device}, which"
            " `kernelbal apply` does"
        )
        return TraceStep(StepTopic.ADDRESS, StepVerdict.ELSEWHERE, reason, FactSource.SITE_FILE)
    way = route_of(view, routes, query.client, query.virtual)
    holder = _holder(query.virtual, way)
    reason = f"this director does not hold {shown}: {holder}"
    return TraceStep(StepTopic.ADDRESS, StepVerdict.ELSEWHERE, reason, view.source)


def _holder(address: Address, route: Route | None) -> str:
    if route is None:
        return "it has no route to it either, so it would answer `network unreachable`"
    if route.gateway is not None:
        return f"it forwards the packet through {format_address(route.gateway)} on {route.device}"
    protocol = "ARP" if len(address) == 4 else "neighbour discovery"
    return f"the host that answers {protocol} for it on the segment of {route.device} gets the packets"


def service_of(query: ExplainQuery, view: KernelView) -> ServiceKey | None:
    """Return the IPVS service of a packet: the one whose counters and templates an explanation needs."""
    classified, _ = classifier_step(query, view)
    match, _ = service_step(query, view, classified.mark, local=False)
    return match.key if match is not None else None


@dataclass(frozen=True, slots=True)
class _MatchedPacket:
    """A packet whose service is known."""

    query: ExplainQuery
    view: KernelView
    routes: RouteTable
    classified: Classification
    match: ServiceMatch

    @property
    def server(self) -> VirtualServer:
        return self.view.services[self.match.key]

    def explanation(self, steps: tuple[TraceStep, ...]) -> Explanation:
        memory = recall(self.query, self.view, self.match.key, self.server)
        choice, scheduled = self._choose(memory)
        candidates = tuple(self._candidates(choice.destination))
        outcome, answer = self._outcome(memory, choice)
        steps = (*steps, memory.step, scheduled)
        if outcome in (ExplainOutcome.FORWARDED, ExplainOutcome.ONE_OF):
            steps = (*steps, *self._path_steps(candidates))
        return Explanation(
            self.query,
            self.view.source,
            outcome,
            answer,
            steps,
            mark=self.classified.mark,
            masquerade=self.classified.masquerade,
            service=self.match.key,
            service_name=self.view.service_names.get(self.match.key, ""),
            real_server=choice.destination,
            certainty=choice.certainty,
            candidates=candidates,
        )

    def _choose(self, memory: PersistenceLookup) -> tuple[SchedulerChoice, TraceStep]:
        scheduler = self.server.attributes.scheduler
        if memory.destination is not None or memory.dropped:
            choice = SchedulerChoice(memory.destination, Certainty.CERTAIN, memory.step.reason)
            reason = f"{scheduler} is not consulted"
            return choice, TraceStep(StepTopic.SCHEDULER, StepVerdict.NOT_ASKED, reason, self.view.source)
        choice = self._schedule(scheduler)
        if choice.destination is not None:
            verdict = _CHOICE_VERDICTS[choice.certainty]
            reason = f"{scheduler} -> {choice.destination}: {choice.reason}"
        else:
            verdict = StepVerdict.UNDETERMINED if choice.certainty is Certainty.OPEN else StepVerdict.NOBODY
            reason = f"{scheduler}: {choice.reason}"
        if memory.step.verdict is StepVerdict.UNKNOWN:
            reason += " (for a client without a persistence template)"
            if choice.certainty is Certainty.CERTAIN:
                choice = choice._replace(certainty=Certainty.NOW)
        return choice, TraceStep(StepTopic.SCHEDULER, verdict, reason, self.view.source)

    def _schedule(self, scheduler: str) -> SchedulerChoice:
        key, attributes = self.match.key, self.server.attributes
        persistent = attributes.flags & ServiceFlag.PERSISTENT
        if not key.mark and not persistent and key.port != self.query.port:
            reason = "a service for any port takes connections only when it is persistent"
            return SchedulerChoice(None, Certainty.CERTAIN, reason)
        servers = []
        for destination, values in self.server.destinations.items():
            counters = self.view.counters_of(key, destination)
            state, _ = availability(values, counters)
            servers.append(
                SchedulerServer(destination, values.weight, counters.active, counters.inactive, state)
            )
        return schedule(
            scheduler, SchedulerInput(self.query, attributes.flags, tuple(servers), self.view.live)
        )

    def _candidates(self, chosen: DestinationKey | None) -> Iterable[ServerCandidate]:
        service = self.match.key
        for key, attributes in self.server.destinations.items():
            counters = self.view.counters_of(service, key)
            state, why = availability(attributes, counters)
            path = path_to(self.query, self.view, self.routes, key, attributes)
            reply = reply_from(
                *(self.query, self.view, self.routes, key, attributes, path),
                masquerade=self.classified.masquerade,
            )
            name = self.view.server_names.get((service, key), "")
            yield ServerCandidate(key, name, attributes, counters, state, why, key == chosen, path, reply)

    def _outcome(self, memory: PersistenceLookup, choice: SchedulerChoice) -> tuple[ExplainOutcome, str]:
        if memory.dropped:
            return (
                ExplainOutcome.DROPPED,
                "dropped: its connection belongs to a real server that has been removed",
            )
        if choice.destination is not None:
            worth = "" if choice.certainty is Certainty.CERTAIN else ", as of now"
            return ExplainOutcome.FORWARDED, f"goes to real server {choice.destination}{worth}"
        if choice.certainty is Certainty.OPEN:
            return (
                ExplainOutcome.ONE_OF,
                "goes to one of the available real servers; which one cannot be determined",
            )
        return ExplainOutcome.REFUSED, f"refused: {choice.reason}; the client gets an ICMP port unreachable"

    def _path_steps(self, candidates: tuple[ServerCandidate, ...]) -> tuple[TraceStep, TraceStep]:
        chosen = [candidate for candidate in candidates if candidate.chosen]
        shown = chosen or [candidate for candidate in candidates if not candidate.why]
        forwarding = _summed(shown, lambda one: one.path.method, lambda one: _described(one.path))
        replies = _summed(shown, lambda one: one.reply.method, lambda one: _described(one.reply))
        return (
            TraceStep(StepTopic.FORWARDING, *forwarding, self.view.source),
            TraceStep(StepTopic.RETURN, *replies, self.view.source),
        )


def _summed(
    candidates: list[ServerCandidate],
    verdict_of: Callable[[ServerCandidate], StepVerdict],
    describe: Callable[[ServerCandidate], str],
) -> tuple[StepVerdict, str]:
    """Return what holds for all of the candidates, with an example of each verdict."""
    by_verdict: dict[StepVerdict, ServerCandidate] = {}
    for candidate in candidates:
        by_verdict.setdefault(verdict_of(candidate), candidate)
    examples = [
        describe(one) if len(candidates) == 1 else f"{verdict.value}, such as {one.key}: {describe(one)}"
        for verdict, one in by_verdict.items()
    ]
    verdict = next(iter(by_verdict)) if len(by_verdict) == 1 else StepVerdict.VARIES
    return verdict, "; ".join(examples)


def _described(part: ForwardPath | ReturnPath) -> str:
    return part.text + "".join(f"; PROBLEM: {problem}" for problem in part.problems)


def with_port(query: ExplainQuery, view: KernelView) -> ExplainQuery:
    """Return the query with a port: that of the one service of its address where none was given.

    Of an address that leads to one inside machine, ports do not matter.

    Raises:
        InvalidRequest: there is not just one.
    """
    if query.port or whole_address(view.nft, query.virtual):
        return query
    ports = sorted(
        {
            key.port
            for key in view.services
            if key.address == query.virtual and key.protocol == query.protocol and key.port
        }
    )
    if len(ports) == 1:
        return query._replace(port=ports[0])
    known = f"its services are on ports {', '.join(map(str, ports))}" if ports else "no service names one"
    raise InvalidRequest(f"which port? {known}", "add it, as in `VIP:80`")
