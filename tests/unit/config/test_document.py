"""YAML text to plain data: what is read, what is refused, and that hostile text costs little."""

import gc
import subprocess
import sys
from typing import cast

import pytest
import yaml

from kernelbal.config import document, places
from kernelbal.config.document import MAX_BYTES, MAX_DEPTH, MAX_KEYS, Data, compose, paused_gc
from kernelbal.errors import ConfigError, Problem

LIMIT_BYTES = 512 << 20
TOO_MANY = "too many values"
LOADERS = {"C": yaml.CSafeLoader, "Python": yaml.SafeLoader}


def problem_of(text: bytes | str) -> Problem:
    """The only problem of a refused document."""
    with pytest.raises(ConfigError) as caught:
        compose(text if isinstance(text, bytes) else text.encode(), "site.yaml")
    (problem,) = caught.value.problems
    return problem


@pytest.fixture(params=LOADERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each parser in turn: PyYAML may have been built without libyaml."""
    for module in (document, places):
        monkeypatch.setattr(module, "Loader", LOADERS[request.param])


DOCUMENTS: dict[str, Data] = {
    "a: 1": {"a": 1},
    "[a, 'b', \"c\", 1.5, true, ~, ]": ["a", "b", "c", 1.5, True, None],
    "a:\n- b: {c: [d]}\n- - e\n": {"a": [{"b": {"c": ["d"]}}, ["e"]]},
    "a: |\n  x\n  y\nb: >\n  x\n  y\n": {"a": "x\ny\n", "b": "x y\n"},
    "'80': \"443\"": {"80": "443"},
    "--- # one\na: b\n...\n": {"a": "b"},
    "%YAML 1.2\n---\na: yes\n": {"a": "yes"},
    '{"json": [1, {"is": "YAML"}]}': {"json": [1, {"is": "YAML"}]},
    "ключ: 値\n": {"ключ": "値"},
    "plain": "plain",
    "\ufeffa: 1": {"a": 1},
}


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(("text", "data"), DOCUMENTS.items())
def test_plain_data(text: str, data: Data) -> None:
    assert compose(text.encode(), "site.yaml") == data


ANCHOR = "an anchor (`&...`)", "write the value out where it is needed; quote text that begins with `&`"
TAG = "a tag (`!...`)", "remove the tag; quote what must be text, and text that begins with `!`"
REFUSED = {
    "a: 1\nb: 2\na: 3\n": ("a", 3, 1, "`a` is given twice", "the first is on line 1"),
    "x:\n  - {b: 1, b: 2}\n": ("x[0].b", 2, 12, "`b` is given twice", "the first is on line 2"),
    "a: &x 1\nb: *x\n": ("a", 1, 4, *ANCHOR),
    "a: [&x {}]\n": ("a[0]", 1, 5, *ANCHOR),
    "&x a: b\n": ("", 1, 1, *ANCHOR),
    "a: *x\n": ("a", 1, 4, "an alias (`*...`)", "write the value out; quote text that begins with `*`"),
    "a: !!str 80\n": ("a", 1, 4, *TAG),
    "a: !!python/object:os.system {}\n": ("a", 1, 4, *TAG),
    "- !x [1]\n": ("[0]", 1, 3, *TAG),
    "a: 1\na: 2\nb: [\n": ("a", 2, 1, "`a` is given twice", "the first is on line 1"),
    "a: {b: 1}\nc:\n  <<: {b: 2}\n": (
        "c", 3, 3, "merge key `<<`", "write the values out; nothing is merged",
    ),
    "a: 1\n---\nb: 2\n": (
        "", 2, 1, "a second document", "remove the `---` and what follows, or put it in a file of its own",
    ),
    "a:\n  80: http\n": ("a", 2, 3, "a key that is not text", "put it in quotes"),
    "true: 1\n": ("", 1, 1, "a key that is not text", "put it in quotes"),
    "{[a]: b}\n": ("", 1, 2, "a key that is not text", "write `key: value`"),
    "": ("", 1, 1, "the document is empty", "write at least one key"),
    "\n# nothing\n": ("", 3, 1, "the document is empty", "write at least one key"),
    "a: x\n\x07": ("", 2, 1, "character U+0007 cannot be in a document",
                    "remove the character; is this a text file?"),
    "ä: '\ufffe'": ("", 1, 5, "character U+FFFE cannot be in a document",
                    "remove the character; is this a text file?"),
}  # fmt: skip


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(("text", "expected"), REFUSED.items())
def test_what_a_configuration_must_not_hold(text: str, expected: tuple[str, int, int, str, str]) -> None:
    problem = problem_of(text)
    assert problem.span is not None
    found = (problem.key, problem.span.line, problem.span.column, problem.message, problem.hint)
    assert found == expected
    assert problem.span.file == "site.yaml"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        (b"a: 1\nb: \xc3\xa4\xff\n", 2, 5, "byte 0xff is not UTF-8 text"),
        (b"\xff\xfea\x00", 1, 1, "the document is UTF-16"),
        (b"a: \xed\xa0\x80", 1, 4, "byte 0xed is not UTF-8 text"),
        (b"\x7fELF\x02\x01\x01\x00\x00", 1, 1, "character U+007F cannot be in a document"),
        (b"a: \x00", 1, 4, "character U+0000 cannot be in a document"),
        ('a: 1\nb: "\x85"'.encode(), 2, 5, "character U+0085 cannot be in a document"),
        ("a: '\u2028'".encode(), 1, 5, "character U+2028 cannot be in a document"),
    ],
)
def test_binary_is_refused_with_its_place(text: bytes, line: int, column: int, message: str) -> None:
    problem = problem_of(text)
    assert problem.span is not None
    assert (problem.span.line, problem.span.column, problem.message) == (line, column, message)


@pytest.mark.usefixtures("parser")
def test_depth_is_limited() -> None:
    assert compose(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "x")
    assert problem_of(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)).message == "nested too deeply"


def test_keys_of_a_mapping_are_limited() -> None:
    text = "\n".join(f"k{number}: 1" for number in range(MAX_KEYS + 1))
    assert compose(text.rpartition("\n")[0].encode(), "x")
    problem = problem_of(text)
    assert (problem.message, problem.span and problem.span.line) == ("too many keys in one mapping", 1001)


@pytest.mark.parametrize("key", ["port", "upper_threshold"])
def test_key_that_repeats_is_one_object(key: str) -> None:
    """Each of 100,000 real servers has the same keys."""
    first, second = cast("list[dict[str, Data]]", compose(f"- {key}: 1\n- {key}: 2\n".encode(), "x"))
    assert next(iter(first)) is next(iter(second))


def test_size_is_limited() -> None:
    assert problem_of(b" " * (MAX_BYTES + 1)).expected == f"at most {MAX_BYTES:,} bytes"


def test_number_of_values_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_EVENTS", 100)
    assert compose(b"[" + b"1," * 90 + b"]", "x")
    assert problem_of(b"[" + b"1," * 100 + b"]").message == TOO_MANY
    assert (
        problem_of(b"{" + b",".join(b"k%d: 1" % number for number in range(60)) + b"}").message
        == "too many values"
    )
    assert problem_of(b"[" + b"{}," * 60 + b"]").message == TOO_MANY


def test_garbage_collector_rests_while_a_document_grows() -> None:
    with paused_gc():
        assert not gc.isenabled()
        with paused_gc():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_garbage_collector_is_back_after_a_refusal() -> None:
    problem_of("a: [")
    assert gc.isenabled()


HOSTILE = {
    "alias bomb": "b'a: &a [' + b'x,' * 9 + b']\\n' + b''.join(b'k%d: &k%d [' % (n, n) + b'*a,' * 9 + b']\\n'"
    " for n in range(250_000))",
    "10 MB of aliases": "b'- *a\\n' * 2_000_000",
    "100,000 open lists": "b'[' * 100_000",
    "100,000 open mappings": "b'{a: ' * 100_000",
    "100,000 open blocks": "b'- ' * 100_000",
    "a million levels of indentation": "b''.join(b' ' * n + b'a:\\n' for n in range(3000))",
    "50 MB in one line": "b'a' * 50_000_000",
    "50 MB of quoted text": "b'\"' + b'a' * 50_000_000",
    "50 MB of one key": "b'a' * 50_000_000 + b': 1'",
    "40 MB of short items": "b'[' + b'1,' * 20_000_000",
    "a million keys": "b'\\n'.join(b'%d_: 1' % n for n in range(1_000_000))",
    "a million faulty real servers": "b'virtual_services: [{name: a, address: 192.0.2.1, ports: 80,"
    " forwarding: nat, real_servers: [' + b'{},' * 1_000_000 + b']}]'",
    "three million faulty virtual services": "b'virtual_services: [' + b'1,' * 3_000_000 + b']'",
    "many faulty networks": "b'networks: {' + b','.join(b'n%d: {' % n + b','.join(b'k%d: 1' % k"
    " for k in range(900)) + b'}' for n in range(900)) + b'}'",
    "a number of a million digits": "b'kernel: {sysctls: {conntrack: ' + b'9' * 1_000_000 + b'}}'",
    "a long duration": "b'kernel: {timeouts: {tcp: ' + b'9' * 1_000_000 + b's}}'",
    "a long address": "b'networks: {a: {shared_addresses: [' + b'1:' * 1_000_000 + b'/1]}}'",
    "a long port": "b'virtual_services: [{ports: ' + b'9' * 1_000_000 + b'-1}]'",
    "a long unknown key": "b'virtual_services: [{' + b'scheduler' * 10_000 + b': 1}]'",
    "zeros": "bytes(10_000_000)",
}

PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
from kernelbal.config.load import load_site
from kernelbal.errors import ConfigError
text = {text}
try:
    load_site(text, "site.yaml")
except ConfigError as error:
    print(sum(len(str(problem)) for problem in error.problems))
"""


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_refused_quickly_in_bounded_memory(text: str) -> None:
    """A fresh process, because the limits of memory and processor time hold for all of it."""
    program = [sys.executable, "-c", PROGRAM.format(limit=LIMIT_BYTES, text=text)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 < int(done.stdout) < 1_000_000
