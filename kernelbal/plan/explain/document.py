"""An explanation as a document: of the control API and of `--json`; the CLI prints from it."""

from __future__ import annotations

from kernelbal.model.address import Address, format_address
from kernelbal.model.answers import (
    ExplainedCandidate,
    ExplainedPath,
    ExplainedReply,
    ExplainedStep,
    ExplanationDocument,
)
from kernelbal.plan.explain.result import Explanation, ServerCandidate


def explanation_document(explanation: Explanation) -> ExplanationDocument:
    """Return an explanation as a document; the names of its fields are stable."""
    query, key = explanation.query, explanation.real_server
    return ExplanationDocument(
        source=explanation.source.value,
        query=str(query),
        client=format_address(query.client),
        client_port=query.client_port,
        virtual_address=format_address(query.virtual),
        port=query.port,
        protocol=query.protocol.name.lower(),
        outcome=explanation.outcome.value,
        answer=explanation.answer,
        service=str(explanation.service) if explanation.service else None,
        service_name=explanation.service_name or None,
        mark=explanation.mark or None,
        masquerade=explanation.masquerade,
        real_server=str(key) if key else None,
        translated_to=explanation.translated_to or None,
        certainty=explanation.certainty.value if explanation.certainty else None,
        steps=[
            ExplainedStep(
                topic=step.topic.value,
                verdict=step.verdict.value,
                reason=step.reason,
                source=step.source.value,
            )
            for step in explanation.steps
        ],
        candidates=[_candidate(each) for each in explanation.candidates],
    )


def _candidate(candidate: ServerCandidate) -> ExplainedCandidate:
    attributes, path, reply = candidate.attributes, candidate.path, candidate.reply
    return ExplainedCandidate(
        real_server=str(candidate.key),
        name=candidate.name or None,
        chosen=candidate.chosen,
        weight=attributes.weight,
        active=candidate.counters.active,
        inactive=candidate.counters.inactive,
        upper_threshold=attributes.upper_threshold,
        lower_threshold=attributes.lower_threshold,
        state=candidate.availability.value,
        why_out=candidate.why or None,
        forwarding=ExplainedPath(
            method=path.method.value,
            port=path.port,
            device=path.device,
            gateway=_text(path.gateway),
            overhead_bytes=path.overhead_bytes,
            mtu_bytes=path.mtu_bytes or None,
            text=path.text,
            problems=list(path.problems),
        ),
        return_=ExplainedReply(
            way=reply.method.value,
            text=reply.text,
            conditions=list(reply.conditions),
            problems=list(reply.problems),
        ),
    )


def _text(address: Address | None) -> str | None:
    return format_address(address) if address is not None else None
