"""A site and a node with another canary in each secret setting: no output may have one."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from kernelbal.model.node import Node
from kernelbal.model.site import Site

DIGEST = "ca11ab1e" * 8
CANARIES = ("c4nary", DIGEST[:8])
"""What all of them have in them."""

SITE = """\
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: 80
    forwarding: nat
    one_armed: true
    check:
      interval: 5s
      http:
        method: POST
        headers:
          Authorization: Bearer c4nary-of-http
          Cookie: "c4nary-of-cookie"
        body: c4nary-of-body
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
  - name: login
    address: 192.0.2.10
    protocol: udp
    ports: 1812
    forwarding: nat
    one_armed: true
    check:
      radius:
        secret: c4nary-of-radius
        user: probe
        password: c4nary-of-user
    real_servers: [{address: 10.0.0.11}]
  - name: shop
    address: 192.0.2.10
    ports: 443
    forwarding: nat
    one_armed: true
    check: {https: {method: POST, headers: {X-Key: c4nary-of-https}, body: c4nary-of-form}}
    real_servers: [{address: 10.0.0.11}]
  - name: people
    address: 192.0.2.10
    ports: 389
    forwarding: nat
    one_armed: true
    check: {ldap: {dn: "cn=probe", password: c4nary-of-ldap}}
    real_servers: [{address: 10.0.0.11}]
"""
NODE = f"""\
name: lb1
interfaces: {{outside: eth0, inside: eth1}}
notify:
  - webhook: https://me:c4nary-of-me@hooks.example.net/c4nary-of-path?c4nary-of-query
api:
  tls:
    address: 192.0.2.1
    certificate: /etc/kernelbal/api.pem
    key: /etc/kernelbal/api.key
    tokens:
      - name: desk
        sha256: {DIGEST}
"""


def settings(annotation: Any) -> Iterator[tuple[type[BaseModel], str]]:  # noqa: ANN401 - any type expression
    """Every setting below a type, with the model that has it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield annotation, name
            yield from settings(field.annotation)
    for argument in get_args(annotation):
        yield from settings(argument)


def secret_settings() -> set[tuple[type[BaseModel], str]]:
    """Those that are marked as secret, of both documents."""
    found = {*settings(Site), *settings(Node)}
    return {(model, name) for model, name in found if not model.model_fields[name].repr}


def secrets_in(value: object) -> Iterator[tuple[tuple[type[BaseModel], str], str]]:
    """Every secret setting of a document, with its value as text."""
    match value:
        case BaseModel():
            for name, field in type(value).model_fields.items():
                inner = getattr(value, name)
                if field.repr:
                    yield from secrets_in(inner)
                elif inner:
                    yield (type(value), name), str(value.model_dump(mode="json")[name])
        case tuple() | list():
            for each in value:
                yield from secrets_in(each)
        case dict():
            for each in value.values():
                yield from secrets_in(each)
        case _:
            pass


def canaries_in(text: str) -> list[str]:
    """The lines of a text that have one."""
    return [line for line in text.splitlines() if any(each in line.lower() for each in CANARIES)]
