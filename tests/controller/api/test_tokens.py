"""The token that is made at the first start: whole, secret, the same for ever after."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airtoll.client import Controller, ControllerError
from controller.api.tokens import token_of
from controller.config.errors import ConfigError
from tests.system.service import serving

GIVEN = "a-token-of-somebody's-own"


def test_it_is_made_once_told_once_and_kept_from_others(tmp_path: Path) -> None:
    file, told = tmp_path / "new" / "token", list[str]()
    first, second = (token_of(file, "", told.append) for _ in range(2))
    assert told == [first]
    assert first == second == file.read_text().strip()
    assert len(first) >= 43  # 32 bytes of chance in base 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["token"]


def test_of_many_that_start_at_once_one_makes_it(tmp_path: Path) -> None:
    told = list[str]()
    with ThreadPoolExecutor(16) as starting:
        tokens = list(starting.map(lambda _: token_of(tmp_path / "token", "", told.append), range(64)))
    assert set(tokens) == set(told)
    assert len(told) == 1


def test_what_the_environment_gives_wins(tmp_path: Path) -> None:
    told = list[str]()
    assert token_of(tmp_path / "token", GIVEN, told.append) == GIVEN
    assert token_of(None, "", told.append) == ""
    assert told == []
    assert list(tmp_path.iterdir()) == []


def _file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_one_of_ones_own_is_taken(tmp_path: Path) -> None:
    assert token_of(_file(tmp_path / "token", f"  {GIVEN}\n".encode()), "", pytest.fail) == GIVEN


@pytest.mark.parametrize(
    ("content", "mode", "cure"),
    [
        (GIVEN.encode(), 0o640, "others can read"),
        (GIVEN.encode(), 0o604, "chmod 600"),
        (b"", 0o600, "delete it, and one is made"),
        (b"too short\n", 0o600, "16 or more plain characters"),
        ("ein Schlüssel mit Umlaut".encode(), 0o600, "plain characters"),
        (b"two lines\nof characters", 0o600, "plain characters"),
        (b"\xff" * 20, 0o600, "cannot be read"),
    ],
)
def test_a_file_that_is_no_tokens_is_refused(tmp_path: Path, content: bytes, mode: int, cure: str) -> None:
    with pytest.raises(ConfigError, match=cure):
        token_of(_file(tmp_path / "token", content, mode), "", pytest.fail)


def test_a_place_where_none_can_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be made: .*; name another place"):
        token_of(_file(tmp_path / "file", b"") / "token", "", pytest.fail)


def test_a_service_that_made_its_token_is_opened_by_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    with serving(tmp_path, "--host", "0.0.0.0", "--token-file", str(file)) as served:
        url = served.url.replace("0.0.0.0", "127.0.0.1")
        assert Controller(url, file.read_text().strip()).list()["total"] == 0
        for wrong in ("", GIVEN):
            with pytest.raises(ControllerError, match="no valid token") as refused:
                Controller(url, wrong).list()
            assert refused.value.status == 401
        monkeypatch.delenv("AIRTOLL_TOKEN", raising=False)
        monkeypatch.setenv("AIRTOLL_TOKEN_FILE", str(file))
        assert Controller(url).list()["total"] == 0
        monkeypatch.setenv("AIRTOLL_TOKEN_FILE", os.devnull + "/none")
        with pytest.raises(ControllerError, match="AIRTOLL_TOKEN_FILE: /dev/null/none cannot be read"):
            Controller(url)
