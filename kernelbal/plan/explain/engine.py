"""From a question and a view to an explanation, step by step in the order of the packet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from kernelbal.model.ipvs import DestinationKey, ServiceFlag, ServiceKey, VirtualServer
from kernelbal.plan.explain.arrival import arrival
from kernelbal.plan.explain.availability import availability
from kernelbal.plan.explain.classify import Classified, classifier_step
from kernelbal.plan.explain.match import Match, own_stack, service_step
from kernelbal.plan.explain.path import path_to
from kernelbal.plan.explain.persistence import Memory, recall
from kernelbal.plan.explain.question import Question, View
from kernelbal.plan.explain.reply import reply_from
from kernelbal.plan.explain.result import (
    Candidate,
    Certainty,
    Choice,
    Explanation,
    Outcome,
    Path,
    Reply,
    Step,
    Topic,
    Verdict,
)
from kernelbal.plan.explain.schedule import Pool, Server, schedule
from kernelbal.plan.explain.translate import inbound, outbound, target_of
from kernelbal.plan.reachability import RouteTable

_CHOICE_VERDICTS = {Certainty.CERTAIN: Verdict.CHOSEN, Certainty.NOW: Verdict.LEADING}


def explain(question: Question, view: View) -> Explanation:
    """Return the way of a new connection through the kernel that `view` shows."""
    routes = RouteTable(view.routes)
    first = arrival(question, view, routes)
    local = first.verdict is Verdict.LOCAL
    target = target_of(view.nft, question)
    if target is not None:
        return inbound(question, view, routes, target, first)
    classified, second = classifier_step(question, view)
    match, third = service_step(question, view, classified.mark, local=local)
    steps: tuple[Step, ...] = (first, second, third)
    if match is None:
        leaving = None if local else outbound(question, view, routes)
        if leaving is not None:
            steps = (first, leaving)
            first = first._replace(reason=f"routed on: {leaving.reason}")
        outcome = Outcome.OWN_STACK if local else Outcome.ELSEWHERE
        answer = own_stack(question) if local else first.reason
        return Explanation(question, view.source, outcome, answer, steps, mark=classified.mark)
    found = _Found(question, view, routes, classified, match).explanation(steps)
    if local:
        return found
    answer = f"{first.reason}; a director that holds the address would decide: {found.answer}"
    return replace(found, outcome=Outcome.ELSEWHERE, answer=answer)


def service_of(question: Question, view: View) -> ServiceKey | None:
    """Return the IPVS service of a packet: the one whose counters and templates an explanation needs."""
    classified, _ = classifier_step(question, view)
    match, _ = service_step(question, view, classified.mark, local=False)
    return match.key if match is not None else None


@dataclass(frozen=True, slots=True)
class _Found:
    """A packet whose service is known."""

    question: Question
    view: View
    routes: RouteTable
    classified: Classified
    match: Match

    @property
    def server(self) -> VirtualServer:
        return self.view.services[self.match.key]

    def explanation(self, steps: tuple[Step, ...]) -> Explanation:
        memory = recall(self.question, self.view, self.match.key, self.server)
        choice, scheduled = self._choose(memory)
        candidates = tuple(self._candidates(choice.destination))
        outcome, answer = self._outcome(memory, choice)
        steps = (*steps, memory.step, scheduled)
        if outcome in (Outcome.FORWARDED, Outcome.ONE_OF):
            steps = (*steps, *self._ways(candidates))
        return Explanation(
            self.question,
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

    def _choose(self, memory: Memory) -> tuple[Choice, Step]:
        scheduler = self.server.attributes.scheduler
        if memory.destination is not None or memory.dropped:
            choice = Choice(memory.destination, Certainty.CERTAIN, memory.step.reason)
            reason = f"{scheduler} is not asked"
            return choice, Step(Topic.SCHEDULER, Verdict.NOT_ASKED, reason, self.view.source)
        choice = self._schedule(scheduler)
        if choice.destination is not None:
            verdict = _CHOICE_VERDICTS[choice.certainty]
            reason = f"{scheduler} -> {choice.destination}: {choice.reason}"
        else:
            verdict = Verdict.UNDETERMINED if choice.certainty is Certainty.OPEN else Verdict.NOBODY
            reason = f"{scheduler}: {choice.reason}"
        if memory.step.verdict is Verdict.UNKNOWN:
            reason += " (for a client that the kernel does not remember)"
            if choice.certainty is Certainty.CERTAIN:
                choice = choice._replace(certainty=Certainty.NOW)
        return choice, Step(Topic.SCHEDULER, verdict, reason, self.view.source)

    def _schedule(self, scheduler: str) -> Choice:
        key, attributes = self.match.key, self.server.attributes
        persistent = attributes.flags & ServiceFlag.PERSISTENT
        if not key.mark and not persistent and key.port != self.question.port:
            reason = "a service for any port takes connections only when it is persistent"
            return Choice(None, Certainty.CERTAIN, reason)
        servers = []
        for destination, values in self.server.destinations.items():
            counters = self.view.counters_of(key, destination)
            state, _ = availability(values, counters)
            servers.append(Server(destination, values.weight, counters.active, counters.inactive, state))
        return schedule(scheduler, Pool(self.question, attributes.flags, tuple(servers), self.view.live))

    def _candidates(self, chosen: DestinationKey | None) -> Iterable[Candidate]:
        service = self.match.key
        for key, attributes in self.server.destinations.items():
            counters = self.view.counters_of(service, key)
            state, why = availability(attributes, counters)
            path = path_to(self.question, self.view, self.routes, key, attributes)
            reply = reply_from(
                *(self.question, self.view, self.routes, key, attributes, path),
                masquerade=self.classified.masquerade,
            )
            name = self.view.server_names.get((service, key), "")
            yield Candidate(key, name, attributes, counters, state, why, key == chosen, path, reply)

    def _outcome(self, memory: Memory, choice: Choice) -> tuple[Outcome, str]:
        if memory.dropped:
            return Outcome.DROPPED, "dropped: its connection belongs to a real server that has been removed"
        if choice.destination is not None:
            worth = "" if choice.certainty is Certainty.CERTAIN else ", as things are now"
            return Outcome.FORWARDED, f"goes to real server {choice.destination}{worth}"
        if choice.certainty is Certainty.OPEN:
            return Outcome.ONE_OF, "goes to an available real server; which one is not determined"
        return Outcome.REFUSED, f"refused: {choice.reason}; the client gets an ICMP port unreachable"

    def _ways(self, candidates: tuple[Candidate, ...]) -> tuple[Step, Step]:
        chosen = [candidate for candidate in candidates if candidate.chosen]
        shown = chosen or [candidate for candidate in candidates if not candidate.why]
        forwarding = _summed(shown, lambda one: one.path.method, lambda one: _told(one.path))
        replies = _summed(shown, lambda one: one.reply.way, lambda one: _told(one.reply))
        return (
            Step(Topic.FORWARDING, *forwarding, self.view.source),
            Step(Topic.RETURN, *replies, self.view.source),
        )


def _summed(
    candidates: list[Candidate], way: Callable[[Candidate], Verdict], told: Callable[[Candidate], str]
) -> tuple[Verdict, str]:
    """Return what holds for all of the candidates, with an example of each way."""
    ways: dict[Verdict, Candidate] = {}
    for candidate in candidates:
        ways.setdefault(way(candidate), candidate)
    examples = [
        told(one) if len(candidates) == 1 else f"{verdict.value}, such as {one.key}: {told(one)}"
        for verdict, one in ways.items()
    ]
    verdict = next(iter(ways)) if len(ways) == 1 else Verdict.VARIES
    return verdict, "; ".join(examples)


def _told(part: Path | Reply) -> str:
    return part.text + "".join(f"; PROBLEM: {problem}" for problem in part.problems)
