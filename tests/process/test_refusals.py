"""Starts that must not happen: each ends at once with one clear sentence and the exit code that says of what kind."""

from __future__ import annotations

import socket

from tests.process.made import Place, Program, free_ports, until

EX_JOURNAL = 74
EX_CONFIG = 78


def _refused(program: Program, code: int) -> str:
    """The last line of a process that ended with `code`."""
    assert program.ended() == code, program.said
    assert "Traceback" not in program.said
    return program.said.splitlines()[-1]


def test_a_second_daemon_on_the_same_journal_is_refused_by_name(place: Place) -> None:
    """The sentence names the journal and the process that has it; the first daemon is not disturbed."""
    place.gateway()
    first = place.ready_daemon()
    (other_port,) = free_ports(1)
    second = place.daemon({"LONGWATCH_OPS__HTTP_PORT": str(other_port), "LONGWATCH_OPS__CONTROL_SOCKET": "d.sock"})
    said = _refused(second, EX_JOURNAL)
    assert f"in use by process {first.pid}" in said
    assert place.journal_path.name in said
    assert place.page("/readyz")[0] == 200
    assert first.is_running


def test_a_paper_journal_is_never_opened_in_live(place: Place) -> None:
    """Mode live on a journal of the paper account: both are named, and nothing is started."""
    place.gateway()
    daemon = place.ready_daemon()
    daemon.kill()
    before = len(place.records())
    place.configure(
        {
            "mode": "live",
            "executor": "ib_live",
            "clock": {"source": "system", "speed": 1.0},
            "execution": {"live_account": "U123456", "confirm_live_account": "U123456"},
            "journal": {"path": f"var/{place.journal_path.name}"},
        }
    )
    said = _refused(place.daemon(), EX_JOURNAL)
    assert "DU123456" in said
    assert "U123456 in mode live" in said
    assert len(place.records()) == before


def test_every_mistake_of_a_configuration_is_told_and_nothing_starts(place: Place) -> None:
    """Two mistakes, two lines with line number and nearest name, exit 78, and no journal is made."""
    place.configure({"risk": {"max_wait": 0.1}, "ib": {"port": "http"}})
    program = place.daemon()
    _refused(program, EX_CONFIG)
    lines = [line for line in program.said.splitlines() if "c.yaml:" in line]
    assert len(lines) == 2, program.said
    assert "max_weight" in program.said
    assert "trading.ib.port" in program.said
    assert not place.journal_path.exists()


def test_a_missing_configuration_is_named(place: Place) -> None:
    """Exit 78, and the file that is not there."""
    said = _refused(place.daemon(config=place.folder / "nowhere.yaml"), EX_CONFIG)
    assert "nowhere.yaml" in said


def test_a_port_in_use_is_one_sentence_with_the_way_out(place: Place) -> None:
    """Neither the pages' port nor the gateway's is taken from another program."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        daemon = place.daemon({"LONGWATCH_OPS__HTTP_PORT": str(port)})
        said = _refused(daemon, 1)
        assert f"port {port} on 127.0.0.1 is in use" in said
        assert "trading.ops.http_port" in said
        gateway = place.start("gateway", "--port", port)
        assert f"127.0.0.1:{port}" in _refused(gateway, 69)


def test_a_control_socket_in_use_is_refused(place: Place) -> None:
    """Another account's daemon in the same folder does not take over the socket of the first."""
    first = place.daemon()
    until(lambda: place.page("/livez")[0] == 200, "the first daemon", first)
    (other_port,) = free_ports(1)
    changed = {"LONGWATCH_OPS__HTTP_PORT": str(other_port), "LONGWATCH_JOURNAL__PATH": "var/other.sqlite"}
    said = _refused(place.daemon(changed), 1)
    assert "another daemon answers at c.sock" in said
    assert place.ask("status")["ok"]
