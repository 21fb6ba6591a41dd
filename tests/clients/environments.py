"""Makes the environments that client libraries run in, one each, from hashed pins; for `make clients` and the tests.

Each stands in `.clients/` and is made again when its pins or the interpreter change.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".clients"
PINS = ROOT / "requirements" / "clients"

CLIENTS = ("ib_insync", "ib_async", "ibapi", "ibapi_stable")
DAEMON = "daemon_on_ib_async"
INSTALL_SECONDS = 300


def python_of(client: str) -> Path:
    """The interpreter of a client's environment, made now if it is not there. Raises when it can't be made."""
    pins = [path for path in (PINS / f"{client}.build.txt", PINS / f"{client}.txt") if path.exists()]
    return _made(client, pins)


def daemon_python() -> Path:
    """The interpreter of an environment like the running one, with ib_async in the place of ib_insync.

    The two write the same import package, so no environment can hold both; what they share is linked, not copied.
    """
    return _made(DAEMON, [PINS / "ib_async.txt"], shares=True)


def _made(name: str, pins: list[Path], *, shares: bool = False) -> Path:
    place = FOLDER / name
    python = place / "bin" / "python"
    wanted = _stamp(pins)
    stamp = place / "made"
    with _lock(name):
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(place, ignore_errors=True)
            venv.create(place, with_pip=False, symlinks=True)
            for path in pins:
                _install(python, path)
            if shares:
                _share(_packages_of(python))
            stamp.write_text(wanted)
    return python


def _install(python: Path, pins: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check", "install"]
    command = [*pip, "--require-hashes", "--no-deps", "--no-build-isolation", "-r", str(pins)]
    subprocess.run(command, check=True, timeout=INSTALL_SECONDS)


def _share(own: Path) -> None:
    """Link everything of the running environment that this one has not, but for the libraries it replaces."""
    replaced = {_distribution(path.name) for path in own.glob("*.dist-info")} | {"ib_insync", "eventkit"}
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if _distribution(path.name) not in replaced and not (own / path.name).exists():
            (own / path.name).symlink_to(path)


def _distribution(name: str) -> str:
    return re.sub(r"[-.]+", "_", name.removesuffix(".dist-info").split("-")[0]).lower()


def _packages_of(python: Path) -> Path:
    (place,) = python.parents[1].glob("lib/python*/site-packages")
    return place


def _stamp(pins: list[Path]) -> str:
    text = b"".join(path.read_bytes() for path in pins) + sys.version.encode() + sys.prefix.encode()
    return hashlib.sha256(text).hexdigest()


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """One maker at a time, over processes."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_all() -> None:
    """Make every environment that is not there; most of the time goes into waiting for downloads."""
    with ThreadPoolExecutor() as pool:
        for made in (pool.submit(daemon_python), *(pool.submit(python_of, client) for client in CLIENTS)):
            made.result()


if __name__ == "__main__":
    make_all()
