"""Every way in to a running daemon: pages, commands by socket and by HTTP, the halt file; opened by the app."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from longwatch.config.schema import OpsSettings
from longwatch.ops import health
from longwatch.ops.answers import Answers
from longwatch.ops.control import ControlServer
from longwatch.ops.halt_file import HaltFile
from longwatch.ops.status import status_of
from longwatch.ops.watch import Watch
from longwatch.ports import Workers

if TYPE_CHECKING:
    from longwatch.ops.http import HttpServer


@dataclass(slots=True, kw_only=True)
class Doors:
    """What is open. `halt_file` is to be watched by its owner, where the settings name one."""

    ops: OpsSettings
    watch: Watch
    answers: Answers
    workers: Workers
    journal: Path
    halt_file: HaltFile | None = field(init=False, default=None)
    _http: HttpServer | None = field(init=False, default=None)
    _control: ControlServer | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        path, answers = self.ops.halt_file, self.answers
        if path is not None:
            self.halt_file = HaltFile(
                path=path, workers=self.workers.apart(), answer=answers.answer, alert=self.watch.raise_alert
            )
            answers.halted_by = self.halt_file.keeps

    async def open(self, *, http: bool, control: bool) -> None:
        """Listen. Raises LongwatchError when an address or a path is taken."""
        if http:
            await self._serve_pages()
        if control:
            self._control = ControlServer(self.ops.control_socket, self.answers.answer, failed=self.watch.failed)
            await self._control.start()

    async def close(self) -> None:
        """Stop listening."""
        if self._control is not None:
            await self._control.close()
        if self._http is not None:
            await self._http.close()

    async def _serve_pages(self) -> None:
        from longwatch.ops.http import Commands, HttpServer, Pages
        from longwatch.ops.metrics import Metrics
        from longwatch.ops.stories import Stories, latest_orders

        watch, ops = self.watch, self.ops
        state, runtime = watch.state, watch.runtime
        watch.metrics = Metrics(lambda: state, runtime)
        pages = Pages(
            livez=lambda: health.livez(state, watch.view()),
            readyz=lambda: health.readyz(state, watch.view()),
            status=lambda: status_of(state, watch.view()),
            metrics=watch.scrape,
            orders=lambda: latest_orders(state),
            why=Stories(self.journal, self.workers.apart()).tell,
        )
        commands = Commands(answer=self.answers.answer, token=ops.control_token) if ops.control_token else None
        self._http = HttpServer(pages, host=ops.http_host, port=ops.http_port, commands=commands, failed=watch.failed)
        runtime.http_address = await self._http.start()
