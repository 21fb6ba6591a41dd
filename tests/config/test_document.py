"""YAML 1.2 and JSON read into values that know their lines."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.config.document import plain, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("16:00", "16:00"),
        ("1:30:00", "1:30:00"),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("-7", -7),
        ("~", None),
        ("", None),
        ("True", True),
        ("FALSE", False),
        ("=", "="),
        ("-.inf", -math.inf),
        ("DU123456", "DU123456"),
    ],
)
def test_a_plain_scalar_means_what_the_core_schema_of_yaml_1_2_says(text: str, value: Any) -> None:
    """The traps of YAML 1.1 (NO, on, 16:00, 017, 1_000, dates) are text or plain numbers."""
    document = read(f"a: {text}\n", "f")
    assert document.value == {"a": value}
    assert type(document.value["a"]) is type(value)
    assert not document.mistakes


def test_a_list_of_traps_stays_a_list_of_words() -> None:
    """`[ON, NO]` is two words."""
    assert read("a: [ON, NO]", "f").value == {"a": ["ON", "NO"]}


def test_quoted_scalars_are_text_whatever_they_look_like() -> None:
    """Quotes make text."""
    assert read("""a: "7497"\nb: 'true'\nc: ""\n""", "f").value == {"a": "7497", "b": "true", "c": ""}


def test_every_duplicate_key_is_named_with_both_lines() -> None:
    """Two duplicates in different groups are two mistakes; the first value stands."""
    document = read("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n", "f.yaml")
    assert [str(mistake) for mistake in document.mistakes] == [
        "f.yaml:5: b.c: given twice, first on line 3; keep one of them",
        "f.yaml:6: a: given twice, first on line 1; keep one of them",
    ]
    assert document.value == {"a": 1, "b": {"c": 1, "d": 2}}


def test_keys_and_items_know_their_lines() -> None:
    """A path without a line of its own has that of the nearest thing above it."""
    document = read("a:\n  b: 1\n  c:\n    - x\n    - d: {e: 1}\n", "f")
    assert document.line_of(("a", "b")) == 2
    assert document.line_of(("a", "c", 1)) == 5
    assert document.line_of(("a", "c", 1, "d", "e")) == 5
    assert document.line_of(("a", "missing")) == 1
    assert document.line_of(("missing",)) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [1,\n", 2), ("a: 1\n\tb: 2\n", 2), ("a: *nowhere", 1), ("a: 1\n---\nb: 2\n", 2), ('a: "open', 1)],
)
def test_a_malformed_text_is_one_mistake_with_its_line(text: str, line: int) -> None:
    """Nothing can be read after the first break, so there is one line to say so."""
    (mistake,) = read(text, "f.yaml").mistakes
    assert str(mistake).startswith(f"f.yaml:{line}: not readable as YAML 1.2 or JSON: ")
    assert "\n" not in str(mistake)


def test_tags_are_refused() -> None:
    """No tag makes an object here."""
    (mistake,) = read("a: !!python/object:os.system x\n", "f").mistakes
    assert mistake.line == 1
    assert "tag" in mistake.text


def test_a_small_text_that_unfolds_to_a_huge_one_is_refused() -> None:
    """Aliases of aliases of aliases are counted as what they unfold to."""
    levels = "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert "nested too deeply" in str(read("a0: &a0 [1]\n" + levels, "f").mistakes[0])


def test_a_text_nested_too_deeply_is_refused() -> None:
    """Two thousand brackets are a mistake, not a crash."""
    assert "nested too deeply" in str(read("[" * 2_000, "f").mistakes[0])


def test_json_may_be_indented_by_tabs_and_write_characters_as_surrogates() -> None:
    """What json.dumps writes is read, tabs and escapes included."""
    value = {"a": ["\U0001f680", 1.5, None, True], "b": {"c": "x\ty/"}}
    assert read(json.dumps(value, indent="\t"), "f").value == value


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _JSON, max_size=4), st.sampled_from([None, 2, "\t"]))
def test_json_reads_back_as_it_was_written(value: dict[str, Any], indent: Any) -> None:
    """The YAML reader reads JSON to the same values, without a mistake."""
    document = read(json.dumps(value, indent=indent), "f")
    assert not document.mistakes
    assert document.value == value


@given(st.text(alphabet=st.sampled_from("ab:- {}[],\n\t\"'#&*!|>%@`?~0.1e\x00\u2028é"), max_size=60))
def test_any_text_gives_values_or_mistakes_of_one_line(text: str) -> None:
    """No text makes the reader raise."""
    document = read(text, "f")
    assert all("\n" not in str(mistake) for mistake in document.mistakes)


@given(st.integers(-(10**250), 10**250))
def test_whole_numbers_are_exact(number: int) -> None:
    """However long."""
    assert plain(str(number)) == number
