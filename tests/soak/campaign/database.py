"""Faults of the index: PostgreSQL restarts, freezes or is read-only; an SQLite file is locked, damaged or gone."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random

from tests.postgres import PostgresServer
from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import Scene
from tests.soak.campaign.storage import use_service

_POSTGRESQL = ("restart", "freeze", "read-only", "connections cut")
_SQLITE = ("lock", "damage", "delete", "empty")


def database(scene: Scene, rng: Draw) -> str:
    """Disturb the index for some seconds, in which runs end, too."""
    seconds = rng.uniform(3, 25)
    server = scene.setting.postgres
    if server is not None:
        fault = rng.variant(_POSTGRESQL)
        with _ending(seconds, _disturb(server, fault)):
            use_service(scene, seconds)
    elif (fault := rng.variant(_SQLITE)) == "lock":
        with closing(sqlite3.connect(_file(scene), isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with _ending(seconds, partial(other.execute, "ROLLBACK")):
                use_service(scene, seconds)
    else:
        with _exchanged(scene, fault, rng):
            use_service(scene, seconds)
    return f"{fault} for {seconds:.1f} s"


@contextmanager
def _ending(seconds: float, mend: Callable[[], object]) -> Iterator[None]:
    """The fault ends in time, even if a request hangs until it ends."""
    timer = threading.Timer(seconds, mend)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def _disturb(server: PostgresServer, fault: str) -> Callable[[], object]:
    """Disturb a server; what ends that."""
    match fault:
        case "restart":
            server.stop()
            return server.start
        case "freeze":
            frozen = ExitStack()
            frozen.enter_context(server.frozen())
            return frozen.close
        case "read-only":
            server.set_read_only(read_only=True)
            return partial(server.set_read_only, read_only=False)
        case _:
            server.cut_connections()
            return server.cut_connections


@contextmanager
def _exchanged(scene: Scene, fault: str, rng: Random) -> Iterator[None]:
    """The file is bad until the controller is started anew with the good one; meanwhile no run may be lost."""
    file = _file(scene)
    good = scene.folder / "good.db"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(good)) as copy:
        source.backup(copy)
    submitted = list(scene.works)
    match fault:
        case "damage":
            _damage(file, rng)
        case "delete":
            _remove(file)
        case _:
            file.write_bytes(b"")
    yield
    scene.works[:] = submitted  # what else was submitted is in the bad file
    scene.deaf = True
    scene.service.kill()
    _remove(file)
    shutil.copy(good, file)
    scene.start_service()
    scene.deaf = False


def _damage(file: Path, rng: Random) -> None:
    size = file.stat().st_size
    with file.open("r+b") as stream:
        for _ in range(rng.choice((1, 10, 100))):
            stream.seek(rng.randrange(size))
            stream.write(rng.randbytes(100))


def _remove(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def _file(scene: Scene) -> Path:
    return scene.data / "airtoll.db"
