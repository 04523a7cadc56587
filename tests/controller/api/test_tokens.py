"""The token that is created at the first start: atomically, readable by its owner only, and never replaced."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airtoll.client import Controller, ControllerError
from controller.api.tokens import require_token, token_of
from controller.config.errors import ConfigError
from tests.system.service import serving

GIVEN = "a-token-of-one's-own"


def test_it_is_created_once_and_is_secret(tmp_path: Path) -> None:
    file, created = tmp_path / "new" / "token", list[str]()
    first, second = (token_of(file, "", created.append) for _ in range(2))
    assert created == [first]
    assert first == second == file.read_text().strip()
    assert len(first) >= 43  # 32 random bytes in base 64
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["token"]


def test_of_concurrent_starts_one_creates_it(tmp_path: Path) -> None:
    created = list[str]()
    with ThreadPoolExecutor(16) as starting:
        tokens = list(starting.map(lambda _: token_of(tmp_path / "token", "", created.append), range(64)))
    assert set(tokens) == set(created)
    assert len(created) == 1


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    created = list[str]()
    assert token_of(tmp_path / "token", GIVEN, created.append) == GIVEN
    assert token_of(None, "", created.append) == ""
    assert created == []
    assert list(tmp_path.iterdir()) == []


def _file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_an_existing_file_is_used(tmp_path: Path) -> None:
    assert token_of(_file(tmp_path / "token", f"  {GIVEN}\n".encode()), "", pytest.fail) == GIVEN


@pytest.mark.parametrize(
    ("content", "mode", "fix"),
    [
        (GIVEN.encode(), 0o640, "others can read"),
        (GIVEN.encode(), 0o604, "chmod 600"),
        (b"", 0o600, "delete it, and one is created"),
        (b"too short\n", 0o600, "16 or more plain characters"),
        ("ein Schlüssel mit Umlaut".encode(), 0o600, "plain characters"),
        (b"two lines\nof characters", 0o600, "plain characters"),
        (b"\xff" * 20, 0o600, "cannot be read"),
    ],
)
def test_a_file_without_a_usable_token_is_rejected(tmp_path: Path, content: bytes, mode: int, fix: str) -> None:
    with pytest.raises(ConfigError, match=fix):
        token_of(_file(tmp_path / "token", content, mode), "", pytest.fail)


@pytest.mark.parametrize(
    "given", ["Schlüssel mit Umlaut", " sixteen characters", "sixteen characters\n", "a\ttab or two tabs"]
)
def test_a_given_token_that_no_request_can_carry_is_rejected(given: str) -> None:
    with pytest.raises(ConfigError, match=r"AIRTOLL_TOKEN: only printable ASCII is allowed, .*; take one from"):
        token_of(None, given, pytest.fail)


def test_a_token_that_can_be_guessed_is_for_this_machine_only() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        require_token(host, "a")
        require_token(host, "")
    require_token("0.0.0.0", "sixteen-characte")
    with pytest.raises(ConfigError, match=r"--host: '0.0.0.0' is not allowed: other machines could guess the token"):
        require_token("0.0.0.0", "fifteen-charact")


def test_a_client_rejects_a_token_of_another_alphabet() -> None:
    with pytest.raises(ControllerError, match="printable ASCII alone; see AIRTOLL_TOKEN"):
        Controller(token="Schlüssel mit Umlaut")


def test_a_path_where_none_can_be_created_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be created: .*; give another path"):
        token_of(_file(tmp_path / "file", b"") / "token", "", pytest.fail)


def test_only_the_created_token_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    with serving(tmp_path, "--host", "0.0.0.0", "--token-file", str(file)) as served:
        url = served.url.replace("0.0.0.0", "127.0.0.1")
        assert Controller(url, file.read_text().strip()).list()["total"] == 0
        for wrong in ("", GIVEN):
            with pytest.raises(ControllerError, match="set AIRTOLL_TOKEN") as refused:
                Controller(url, wrong).list()
            assert refused.value.status == 401
        monkeypatch.delenv("AIRTOLL_TOKEN", raising=False)
        monkeypatch.setenv("AIRTOLL_TOKEN_FILE", str(file))
        assert Controller(url).list()["total"] == 0
        monkeypatch.setenv("AIRTOLL_TOKEN_FILE", os.devnull + "/none")
        with pytest.raises(ControllerError, match="AIRTOLL_TOKEN_FILE: /dev/null/none cannot be read"):
            Controller(url)
