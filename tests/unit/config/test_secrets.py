"""Problems of documents repeat no secret, whatever their author did wrong with it or beside it."""

import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernelbal.cli.problems import problems_text
from kernelbal.config.load import load_node, load_site
from kernelbal.config.secrets import key_path, may_be_secret, named, secret_names
from kernelbal.config.violation import Path as KeyPath
from kernelbal.errors import ConfigError
from kernelbal.runtime.director.documents import problem_lines
from tests.support.canary import NODE, SITE, canaries_in

Load = Callable[[bytes, str], object]
DOCUMENTS: dict[str, tuple[Load, str]] = {"site": (load_site, SITE), "node": (load_node, NODE)}
SETTING = re.compile(r"([\w-]+): (\"?[^,{}\n]+)")

VALUES = (
    *(
        "[{v}]",
        "[[{v}]]",
        "{{{v}: 1}}",
        "{{{v}, {v}}}",
        "{{{v}: {{{v}: {v}}}}}",
        "[{v}, {v}",
        "{{{v}",
        "- {v}",
    ),
    *("*{v}", "&{v}", "&{v} x", "&a {v}", "!{v} x", "!!{v} x", "!x {v}", "%{v}", "@{v}", "`{v}", "<<: {v}"),
    *(
        '"{v}',
        "'{v}",
        '"{v}" {v}',
        '"{v}\\q"',
        '"{v}\x01"',
        '"{v}\\u0001"',
        '"{v}\n   {v}',
        "\t{v}",
        "{v}\t: x",
    ),
    *("{v}: x", "x: {v}", "? {v}", "{v}\x85", "\udcff{v}", "{v} #", "|\n{v}", ">\n      {v}\n   {v}"),
    *(
        "\n {v}",
        "\n      {v}: {v}: 3",
        "\n            {v}: {v}: 3",
        "\n              {v}\n            {v}: [",
    ),
    *("ftp://{v}", "http://[{v}", "https://{v}..x/", "https://h:{v}/", "https://h:0/{v}", "https://{v}@:0/"),
)
"""What may become of a value."""
KEYS = (
    "{k}_",
    "my_{k}",
    "shared_key",
    "pw",
    "x",
    "{v}",
    "{k} {v}",
    '"{k}: {v}"',
    "{k}={v}",
    "{k}:{v}",
    "? {k}",
)
"""What may become of a key; others are letters left out, doubled and turned."""
COLONS = (":", " ", "=", ": : ", " :")
BESIDE = ("zzz: 1", "name: [", "a\tb", "'", "- x", ": ", "dn: 5", "user: [", "port: x", "{", "method: GET")


def misspelt(word: str) -> set[str]:
    places = range(len(word))
    return {
        *(word[:at] + word[at + 1 :] for at in places),
        *(word[: at + 1] + word[at:] for at in places),
        *(word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :] for at in places),
        *(word.upper(), word.title()),
    }


def slips(document: str) -> Iterator[str]:
    """The document with one slip at one of its secrets, or next to it."""
    for found in SETTING.finditer(document):
        key, value = found[1], found[2].strip('"')
        if not canaries_in(value):
            continue
        before, after = document[: found.start()], document[found.end() :]
        keys = (*(each.format(k=key, v=value) for each in KEYS), *misspelt(key))
        values = (*(each.format(v=value) for each in VALUES), value * 300)
        yield from (f"{before}{each}: {value}{after}" for each in keys)
        yield from (f"{before}{key}: {each}{after}" for each in values)
        yield from (f"{before}{key}{each}{value}{after}" for each in COLONS)
        head, _, line = before.rpartition("\n")
        indent = " " * len(re.match(r"[ -]*", line)[0])  # type: ignore[index] # it matches nothing, too
        rest = f"{line}{found[0]}{after}"
        end = rest.index("\n") + 1
        for each in BESIDE:
            yield f"{head}\n{indent}{each}\n{rest}"
            yield f"{head}\n{rest[:end]}{indent}{each}\n{rest[end:]}"


def leaks(load: Load, text: str, folder: Path) -> list[str]:
    """What the problems of a text repeat: as `check` prints them, as the daemon has them, in a traceback."""
    path = folder / "document.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    try:
        load(path.read_bytes(), str(path))
    except ConfigError as error:
        printed = problems_text(error.problems), "\n".join(problem_lines(error))
        return canaries_in("\n".join((*printed, *traceback.format_exception(error))))
    return []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_slip_of_the_author_has_a_secret_repeated(name: str, tmp_path: Path) -> None:
    load, document = DOCUMENTS[name]
    texts = list(slips(document))
    assert len(texts) > 200
    found = {text: lines for text in texts if (lines := leaks(load, text, tmp_path))}
    assert not found, next(iter(found.items()))


MISPLACED = {
    "site": (
        *("{radius: c4nary}", "{radius: [c4nary]}", "{ldap: c4nary}", "{http: c4nary}", "{radius c4nary: }"),
        *("{http: {headers: c4nary}}", "{http: {headers: [c4nary]}}", "{http: {headers: [A: c4nary]}}"),
        *('{http: {headers: {"Authorization: c4nary": }}}', "{headers: c4nary}", "{headers: {A: c4nary}}"),
        *("{checkheaders: 'A: c4nary'}", "{secret: c4nary}", "{password: c4nary, ldap: {}}"),
        *("{radius: {secrt: c4nary}, intervall: 5}", "{radius: {shared_key: c4nary}, intervall: 5}"),
        *(
            "{raduis: {secret: c4nary}}",
            "{http: {body: c4nary}}",
            "{http: {headers: {A: c4nary, a: c4nary}}}",
        ),
        *("{radius: {secrt: c4nary: a}}", "{ldap: {pasword: 'c4nary}}"),
        "{radius: {secret: a, user: a, password: " + "c4nary" * 30 + "}}",
    ),
    "node": (
        *("notify: https://h/c4nary", "notify: [https://h/c4nary]", "notify: {webhook: https://h/c4nary}"),
        *("notify: [{script: https://h/c4nary}]", "notify: [{script: curl https://h/c4nary}]"),
        *("notify: [{url: https://h/c4nary}]", "hooks: [https://h/c4nary]", "webhook: https://h/c4nary"),
        *("notfy: [https://h/c4nary]", "notify: [{webhook: https://h/c4nary, script: [/bin/true]}]"),
        *("api: {tokens: [c4nary]}", "api: {tls: {tokens: c4nary}}", "api: {tls: {tokens: [c4nary]}}"),
        *("api: {tls: {tokens: {desk: c4nary}}}", "api: {tls: {tokens: [{name: a, token: c4nary}]}}"),
        "api: {tls: {tokens: [{name: a, sha256: c4nary}]}}",
    ),
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in MISPLACED.items() for text in texts]
)
def test_secret_in_another_place_is_not_repeated(name: str, text: str, tmp_path: Path) -> None:
    service = "virtual_services: [{name: w, address: 192.0.2.1, ports: 80, forwarding: nat, check: %s}]\n"
    load, _ = DOCUMENTS[name]
    whole = service % text if name == "site" else f"name: lb1\n{text}\n"
    with pytest.raises(ConfigError):
        load(whole.encode(), "document.yaml")
    assert leaks(load, whole, tmp_path) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("networks",), "networks"),
        (("virtual_services", 0, "ports", 1), "virtual_services[0].ports[1]"),
        ((3, "a\nb"), r"[3].a\nb"),
        (("networks", "out side 2"), "networks.out side 2"),
        (("ldap", "password"), "ldap.password"),
        (("ldap", "pasword=x1"), "ldap.pasword..."),
        (("tokens", 0, "sha256"), "tokens[0].sha256"),
        (("radius x1",), "radius..."),
        (("http", "headers", "X-Key"), "http.headers.X-Key"),
        (("http", "headers", "A", "x1"), "http.headers.A.x..."),
    ],
)
def test_key_path_has_no_more_of_a_key_than_a_word(path: KeyPath, text: str) -> None:
    assert key_path(path) == text
    assert not path or isinstance(path[-1], int) or text.endswith(named(path))


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("virtual_services[0].check.radius.secret", True),
        ("virtual_services[0].check.http.headers.X-Key", True),
        ("virtual_services[0].check.radius.secrt", True),
        ("virtual_services[0].check.ldap", True),
        ("notify[0]", True),
        ("virtual_services[0].check.http.path", False),
        ("virtual_services[0].check.interval", False),
        ("virtual_services[0].real_servers[3]", False),
        ("", False),
    ],
)
def test_where_a_secret_may_stand(key: str, secret: bool) -> None:
    assert may_be_secret(key) is secret


def test_names_of_secrets_are_those_of_the_models() -> None:
    assert secret_names() == {"headers", "body", "password", "secret", "webhook", "sha256"}
