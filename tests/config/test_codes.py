"""A person's file of codes: what it may say, and that each mistake has its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from longwatch.broker.codes import BACKEND, CODES, FARMS, Asked, Kind, Verdict, row_of, with_named
from longwatch.config.codes import LINKS, read_codes
from longwatch.config.load import check
from longwatch.config.mistakes import ConfigErrors
from longwatch.errors import ConfigError

GOOD = """\
codes:
  - code: 10999
    meaning: "not in this account"
    verdict: rejected
    severity: critical
  - {code: 2137, meaning: "the closing order is larger than the position", verdict: notice}
  - code: 10998
    meaning: "held for review"
    verdict: unclear
    after_cancel: too late
    severity: info
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "codes.yaml"
    path.write_text(text)
    return path


def test_a_named_code_means_what_the_file_says_and_an_unnamed_one_stays_unclear(tmp_path: Path) -> None:
    """After each kind of request; a row of our own may be given another meaning; nothing else changes."""
    codes = with_named(read_codes(written(tmp_path, GOOD)))
    assert [codes[10_999].after(asked) for asked in Asked] == [
        Verdict.REJECTED,
        Verdict.UNCHANGED,
        Verdict.REJECTED_IF_NEW,
    ]
    assert codes[10_999].severity == "critical" and codes[10_999].fails_request
    assert codes[2137].new is Verdict.NOTICE and CODES[2137].new is Verdict.UNCLEAR
    assert [codes[10_998].after(asked) for asked in Asked] == [Verdict.UNCLEAR, Verdict.UNCLEAR, Verdict.TOO_LATE]
    assert row_of(10_997, codes).after(Asked.NEW) is Verdict.UNCLEAR
    changed = {10_999, 10_998, 2137}
    assert {code: row for code, row in codes.items() if code not in changed} == {
        code: row for code, row in CODES.items() if code not in changed
    }


WRONG = {
    "a list of nothing": ("codes: 3\n", "codes.yaml: must be one list of rows; begin with `codes:`"),
    "no such word": (
        GOOD.replace("verdict: notice", "verdict: fatal"),
        "codes.yaml:6: codes[1].verdict: found 'fatal'; must be one of notice, unchanged, rejected, rejected if new",
    ),
    "no meaning": ("codes:\n  - code: 7\n    verdict: notice\n", "codes.yaml:2: codes[0].meaning: is missing"),
    "an empty meaning": (
        'codes:\n  - code: 7\n    meaning: " "\n    verdict: notice\n',
        "codes.yaml:3: codes[0].meaning: found ' '; must be a text",
    ),
    "a code in words": (
        "codes:\n  - code: many\n    meaning: x\n    verdict: notice\n",
        "codes.yaml:2: codes[0].code: found 'many'; must be a whole number",
    ),
    "a list as code": (
        "codes:\n  - code: [1]\n    meaning: x\n    verdict: notice\n",
        "codes.yaml:2: codes[0].code: found [1]; must be a whole number",
    ),
    "a mapping as code": (
        "codes:\n  - code: {a: 2}\n    meaning: x\n    verdict: notice\n",
        "codes.yaml:2: codes[0].code: found {'a': 2}; must be a whole number",
    ),
    "a truth as code": (
        "codes:\n  - code: true\n    meaning: x\n    verdict: notice\n",
        "codes.yaml:2: codes[0].code: found True; must be a whole number",
    ),
    "a code twice": (
        GOOD.replace("10998", "10999"),
        "codes.yaml:7: codes[2].code: 10999 has a row already; keep one of them",
    ),
    "an unknown key": (
        GOOD.replace("severity: info", "loudness: 3"),
        "codes.yaml:11: codes[2].loudness: unknown; known are code, meaning",
    ),
    "a code of the link": (
        GOOD.replace("10998", "1100"),
        "codes.yaml:7: codes[2].code: 1100 is about the connection, not about orders",
    ),
    "a severity": (
        GOOD.replace("severity: info", "severity: loud"),
        "codes.yaml:11: codes[2].severity: found 'loud'; must be one of info, warning, critical",
    ),
    "a row that is a word": ("codes:\n  - 10999\n", "codes.yaml:2: codes[0]: must be a row of settings"),
    "no YAML": ("codes: [\n", "not readable as YAML"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_has_its_line(what: str, tmp_path: Path) -> None:
    """And says what to write."""
    text, expected = WRONG[what]
    with pytest.raises(ConfigErrors) as error:
        read_codes(written(tmp_path, text))
    (line,) = error.value.lines()
    assert expected in line


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """With the setting that names it."""
    with pytest.raises(ConfigError, match=r"can't be read: No such file.*mend trading.ib.codes_file"):
        read_codes(tmp_path / "codes.yaml")


def test_check_reads_the_file_of_codes_too(tmp_path: Path) -> None:
    """A mistake in it is one of the configuration."""
    codes = written(tmp_path, WRONG["no such word"][0])
    config = tmp_path / "trading.yaml"
    config.write_text(f'trading: {{ib: {{codes_file: "{codes}"}}}}\n')
    lines, code = check(config, {})
    assert code == 78 and "codes.yaml:6: codes[1].verdict" in lines[0]
    codes.write_text(GOOD)
    assert check(config, {})[1] == 0


def test_the_codes_of_the_link_are_those_of_the_table() -> None:
    """No file may say what they mean."""
    ending = {code for code, row in CODES.items() if row.kind is Kind.SESSION_ENDS}
    assert {*BACKEND, *FARMS, *ending} == LINKS
