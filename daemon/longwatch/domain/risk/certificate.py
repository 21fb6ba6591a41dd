"""The conditions of readiness as rows of the table of limits: not met, no order leaves; joined by table.py."""

from __future__ import annotations

from longwatch.domain.risk.limits import EVERY, Does, Limit, Setting


def _row(name: str, unit: str, text: str, *settings: Setting) -> Limit:
    test = f"tests/daemon/test_readiness.py::test_what_is_broken_is_named_and_named_no_longer_when_mended[{name}-0]"
    return Limit(name=name, does=Does.HOLDS, unit=unit, text=text, test=test, settings=settings, binds=EVERY)


ROWS = (
    _row("link_is_up", "link", "The handshake with the gateway is complete and the account was read since."),
    _row(
        "backend_is_up",
        "link",
        "The gateway has its own link to IB; a person is told when it lasts longer.",
        Setting("ib.backend_alert_minutes", "10", "restart"),
    ),
    _row("farms_are_up", "data farms", "No data farm that orders need is broken."),
    _row(
        "account_is_fresh",
        "seconds",
        "The account has been read whole, and not long ago.",
        Setting("ib.account_age_seconds", "180"),
    ),
    _row(
        "gateway_answers",
        "orders",
        "No order was passed over in silence, as behind a window open in the gateway, be it before a restart.",
        Setting("execution.acknowledge_seconds", "10"),
    ),
    _row("cash_is_known", "base currency", "The account's value has been heard."),
    _row(
        "clock_is_right",
        "seconds",
        "The gateway's clock and ours agree.",
        Setting("ib.clock_skew_seconds", "5", "restart"),
    ),
    _row("instruments_are_known", "symbols", "At least one symbol of the universe is a contract the broker knows."),
    _row("book_is_reconciled", "downloads", "A whole download of the account has been compared with the book."),
)
