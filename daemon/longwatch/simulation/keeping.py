"""Where a run's journal and ledger lie: a folder that was named, or a temporary one; used by simulate and demo."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from longwatch.errors import UsageError


@contextlib.contextmanager
def folder_of(keep: Path | None, command: str, *, is_new: bool = False) -> Iterator[Path]:
    """The folder `keep`, made if need be, or one that is removed afterwards.

    With `is_new` nothing may be in it. Raises UsageError when it can't be used.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix=f"longwatch-{command}-") as name:
            yield Path(name)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        is_empty = not any(keep.iterdir())
    except OSError as error:
        reason = (error.strerror or "unusable").lower()
        raise UsageError(f"--keep {keep}: can't be the folder of a run ({reason}); name one that can be made") from None
    if is_new and not is_empty:
        raise UsageError(f"--keep {keep}: there is something in it, and a run begins anew; name an empty folder")
    yield keep
