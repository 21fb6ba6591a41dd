"""The table of codes: total over what is documented, without doubles, and careful where it does not know."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from longwatch.broker.codes import (
    BACKEND,
    CODES,
    CRITICAL,
    FARMS,
    SEVERITY,
    TABLE,
    Asked,
    Kind,
    Verdict,
    farm_of,
    row_of,
)
from longwatch.domain import messages as m
from longwatch.ops.code_page import page
from tests.broker.bench import Bench, Script, an_empty_account, order, with_script
from tests.conftest import ROOT

DOCUMENTED = """
    0 100 101 102 103 104 105 106 107 109 163 382 383 110 111 113 116 135 136 161 162 165 166 200 201 202 203 300 303
    160 309 310 316 317 320 321 322 323 324 381 384 326 327 329 354 365 366 385 386 387 388 399 403 411 412 404 413 414
    420 421 430 434 435 436 460 478 492 1100 1101 1102 1300 2100 2101 2102 2103 2104 2119 2108 2105 2106 2107 2109 2110
    2137 2146 2174 2152 2157 2158 2159 2160 2168 2169 2170 10006 10051 10052 10089 10090 10091 10147 10148 10149 10167
    10168 10183 10184 10185 10186 10177 10178 10179 10180 10181 10182 10187 10189 10190 10197 10225 10243 10268 10269
    10270 10289 10311 10318 10326 10327 10328 10349
"""


def test_every_documented_code_has_a_row() -> None:
    """No code that the gateway is known to send is missing from the table."""
    assert {int(code) for code in DOCUMENTED.split()} - CODES.keys() == set()


def test_no_code_has_two_rows() -> None:
    """The table says one thing about each code."""
    assert len(TABLE) == len(CODES)


def test_each_code_is_as_severe_as_what_it_means() -> None:
    """News is none to act on; what ends an order or a request is a warning; what ends all of them, critical."""
    for row in TABLE:
        usual = SEVERITY[row.kind]
        assert row.severity == ("critical" if row.code in CRITICAL else usual), row
    assert {row.severity for row in TABLE if row.kind in (Kind.SYSTEM, Kind.CONFIRMATION)} == {"info"}
    assert {CODES[code].severity for code in (321, 460, 203, 103, 326, 10328)} == {"critical"}
    assert {CODES[code].severity for code in (110, 201, 200, 354)} == {"warning"}
    assert {CODES[code].severity for code in (10349, 399, 404, 202, 10147, 10148)} == {"info"}
    assert row_of(99_999, CODES).severity == "warning"
    # An alert that is `info` is not raised: none of those may hide that an order's fate is open.
    unclear = [row for row in TABLE if row.severity == "info" and Verdict.UNCLEAR in (row.new, row.modify, row.cancel)]
    assert unclear == []
    assert CODES.keys() >= CRITICAL


@pytest.mark.parametrize("asked", Asked)
def test_an_unlisted_code_is_never_final(asked: Asked) -> None:
    """A code nobody has listed settles no order, whatever was asked."""
    assert row_of(99_999, CODES).after(asked) is Verdict.UNCLEAR


def test_an_unlisted_code_ends_a_request() -> None:
    """A request answered by an unknown code is over: nobody waits for it in vain."""
    assert row_of(99_999, CODES).fails_request


@pytest.mark.parametrize("code", [10349, 399, 404, 2109, 165, 105, 329, 10167, 2174])
def test_a_notice_leaves_a_new_order_alive(code: int) -> None:
    """The codes that client libraries misread as a cancellation are notices (A01, A13)."""
    assert row_of(code, CODES).after(Asked.NEW) is Verdict.NOTICE


@pytest.mark.parametrize("code", [201, 103, 110, 203, 321])
def test_a_new_order_is_rejected(code: int) -> None:
    """The codes by which a new order is refused are final."""
    assert row_of(code, CODES).after(Asked.NEW) is Verdict.REJECTED


@pytest.mark.parametrize("code", [110, 321])
def test_a_refused_modification_leaves_the_order(code: int) -> None:
    """What ends a new order leaves the one whose modification was refused."""
    assert row_of(code, CODES).after(Asked.MODIFY) is Verdict.UNCHANGED


def test_a_cancel_is_answered_in_three_ways() -> None:
    """202 confirms, 10147 finds nothing, 10148 and the old 161 come too late."""
    answers = [row_of(code, CODES).after(Asked.CANCEL) for code in (202, 10147, 10148, 161)]
    assert answers == [Verdict.CANCELLED, Verdict.NOT_FOUND, Verdict.TOO_LATE, Verdict.TOO_LATE]


def test_only_what_ends_orders_rejects_them() -> None:
    """No warning, notice or failed data request ever rejects an order."""
    rejecting = {row.kind for row in TABLE if Verdict.REJECTED in (row.new, row.modify, row.cancel)}
    assert rejecting == {Kind.ORDER_ENDS}


def test_system_notices_say_which_link_they_are_about() -> None:
    """Every code that moves a link is a system notice."""
    assert {CODES[code].kind for code in (*BACKEND, *FARMS)} == {Kind.SYSTEM}


@pytest.mark.parametrize(
    ("text", "farm"),
    [
        ("Market data farm connection is OK:usfarm", "usfarm"),
        ("HMDS data farm connection is inactive but should be available upon demand.ushmds", "ushmds"),
        ("Sec-def data farm connection is OK:secdefil", "secdefil"),
        ("Market data farm connection is broken:usfarm.nj", "usfarm.nj"),
    ],
)
def test_a_farm_is_read_from_the_text(text: str, farm: str) -> None:
    """Both spellings, with a colon and with the missing one, give the farm's name."""
    assert farm_of(text) == farm


def test_every_row_is_told_over_the_wire_with_its_verdict_meaning_and_severity() -> None:
    """Each code on an order's id: new, modified, its cancel asked for; those of the link move the link."""

    async def work(bench: Bench, script: Script) -> dict[tuple[int, Asked], m.OrderErrorSeen]:
        await bench.synced()
        heard: dict[tuple[int, Asked], m.OrderErrorSeen] = {}
        for asked in (Asked.NEW, Asked.MODIFY, Asked.CANCEL):
            if asked is Asked.MODIFY:
                bench.broker.modify(modification(9_000))
                await asyncio.sleep(1)
            if asked is Asked.CANCEL:
                bench.broker.cancel(m.CancelOrder(intent=1, order_id=9_000))
                await asyncio.sleep(1)
            for code in TOLD:
                before = len(bench.inbox.of(m.OrderErrorSeen))
                script.connections[-1].say("error", reqId=9_000, errorCode=code, errorString="as it says")
                await asyncio.sleep(0.01)
                (heard[code, asked],) = bench.inbox.of(m.OrderErrorSeen)[before:]
        return heard

    codes = CODES | {10_999: replace(CODES[201], code=10_999, meaning="not here", severity="critical")}
    heard = with_script(work, an_empty_account(), codes=codes)
    assert len(heard) == len(Asked) * len(TOLD)
    for (code, asked), event in heard.items():
        row = row_of(code, codes)
        assert (event.order_id, event.code, event.text) == (9_000, code, "as it says")
        assert (event.verdict, event.meaning, event.severity) == (row.after(asked), row.meaning, row.severity)


def modification(order_id: int) -> m.ModifyOrder:
    """The order sent again."""
    sent = order(1, order_id=order_id)
    return m.ModifyOrder(order=replace(sent.order, changed=1), instrument=sent.instrument)


def test_the_page_of_codes_is_up_to_date() -> None:
    """docs/codes.md is what `python -m longwatch.ops.code_page` prints."""
    assert (ROOT / "docs" / "codes.md").read_text() == page()
    assert all(f"| {code} |" in page() for code in CODES)


ELSEWHERE = {*BACKEND, *FARMS, *(code for code, row in CODES.items() if row.kind is Kind.SESSION_ENDS)}
TOLD = [*(code for code in CODES if code not in ELSEWHERE), 10_999, 99_999]
