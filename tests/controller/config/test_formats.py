"""Texts of clients: values of JSON's types or a FormatError, within a time that grows with their length."""

import time
from contextlib import suppress
from typing import Any

import pytest

from controller.config.formats import MAX_DEPTH, MAX_VALUES, FormatError, parse_json, parse_yaml

NESTED = "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 1e-3\nb: 1e5\nc: .5e3\nd: 5.e3", {"a": 0.001, "b": 100000.0, "c": 500.0, "d": 5000.0}),
        ("on: true\n1: a\n~: b\n2026-01-01: c", {"on": True, "1": "a", "~": "b", "2026-01-01": "c"}),
        ("a: 2026-99-99\nb: =", {"a": "2026-99-99", "b": "="}),
        ("a: &x [1]\nb: *x\n<<: {1: 2}", {"a": [1], "b": [1], "1": 2}),
        (NESTED, parse_json(NESTED)),
        ("", None),
    ],
)
def test_yaml_is_read_as_the_types_of_json(text: str, data: Any) -> None:
    assert parse_yaml(text) == data


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: !!binary aGVs", "line 1: could not determine a constructor"),
        ("b: 1\n? [a]\n: 3", "line 2: a key must be text"),
        ("? {a: 1}\n: 3", "a key must be text"),
        ("a: !!set {b}", "could not determine a constructor"),
        ("a: " + "9" * 6000, "is not of the type int"),
        ("a: {b: 0x" + "f" * 6000 + "}", r"a\.b: the number is too large"),
        ("a: 1" + ":59" * 6000, "a: the number is too large"),
        ("a: !!bool abc", "'abc' is not of the type bool"),
        ("a: !!int ''", "'' is not of the type int"),
        ("a: !!float x", "'x' is not of the type float"),
        ("a: !!timestamp x", "could not determine a constructor"),
        ('a: "\\UFFFFFFFF"', "line 1: "),
        ("%YAML 1." + "9" * 6000 + "\n---\na: 1", "line 1: "),
        ('a: ["\\ud800"]', r"a\.0: '\\ud800' is not allowed"),
        ('"\\ud800": 1', "half of a surrogate pair"),
        ('a: "\\0"', "leave out the NUL character"),
        ("1: a\n'1': b", "line 2: key '1' is written twice"),
        ("a: &x [*x]", "nested deeper than 32 levels"),
        ("[" * 5000, "nested deeper than 32 levels"),
        (f"[{NESTED}]", "nested deeper than 32 levels"),
        ("a: 1\n---\nb: 1", "line 2: "),
    ],
)
def test_other_yaml_is_rejected(text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem) as rejected:
        parse_yaml(text)
    assert len(str(rejected.value)) < 400


def test_an_alias_is_rejected_where_none_is_allowed() -> None:
    with pytest.raises(FormatError, match=r"line 2: the alias \*x is not allowed: repeat the text"):
        parse_yaml("a: &x 1\nb: *x", aliases=False)


def test_aliases_that_stand_for_a_billion_values_are_rejected() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(FormatError, match=f"more than {MAX_VALUES} values"):
        parse_yaml("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number"),
        ('{"a": 1, "b": 2, "a": 3}', "key 'a' appears twice"),
        ('{"a": {"b": %s}}' % ("9" * 6000), r"a\.b: the number is too large"),
        ('{"a": 9223372036854775808}', "a: the number is too large"),
        ('{"a": {"\\ud800": 1}}', "half of a surrogate pair"),
        (f"[{NESTED}]", "nested deeper than 32 levels"),
        ("[" * 100_000, "nested deeper than 32 levels"),
        ('{"a":\n x}', "line 2: Expecting value"),
    ],
)
def test_other_json_is_rejected(text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        parse_json(text)


def test_json_keeps_the_largest_whole_number() -> None:
    assert parse_json('{"a": 9223372036854775807, "b": "\\ud83d\\ude00"}') == {"a": 2**63 - 1, "b": "\U0001f600"}


SLOW_ONCE = {  # each took minutes with a pattern, or with a loop over all keys, that looked back at what it had read
    "escaped quotes": '\\"' * 490_000,
    "an open string": '"' + "\\" * 900_000,
    "the last key twice": "{" + ", ".join(f'"key{n}": 1' for n in range(60_000)) + ', "key59999": 2}',
    "digits": "a: " + "1" * 90_000 + "x",
    "brackets": "[" * MAX_DEPTH + "1, " * 8_000,
}


@pytest.mark.parametrize("name", SLOW_ONCE)
def test_no_text_takes_much_longer_than_its_length(name: str) -> None:
    """In processor time, of which a busy machine takes no more."""
    text, read = SLOW_ONCE[name], parse_yaml if name in ("digits", "brackets") else parse_json
    began = time.process_time()
    with suppress(FormatError):
        read(text)
    assert time.process_time() - began < 10
