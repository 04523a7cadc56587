"""Folders of keys: made once, read with care, and every mistake told with its cure."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import zmq
from zmq.auth import create_certificates, load_certificate

from protocol.transports.keys import Keys, KeysError


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.make(tmp_path / "keys")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_made_once_and_read_as_it_is(keys: Keys) -> None:
    before = _contents(keys.folder)
    assert sorted(before) == ["allowed/node.key", "node.key", "node.key_secret", "server.key", "server.key_secret"]
    assert Keys.make(keys.folder).server() == keys.server()
    assert _contents(keys.folder) == before
    server, client = Keys.read(keys.folder).server(), Keys.read(keys.folder).client()
    assert client.server == server.public
    assert server.allowed == frozenset([client.public])
    assert zmq.curve_public(server.secret) == server.public
    assert zmq.curve_public(client.secret) == client.public


def test_secrets_are_for_their_owner_alone_and_never_shown(keys: Keys) -> None:
    for path in keys.folder.glob("*.key_secret"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for locked in (keys.server(), keys.client()):
        assert locked.secret.decode() not in f"{locked!r} {locked} {keys!r}"


def test_zmq_auth_reads_our_files_and_we_read_its(keys: Keys, tmp_path: Path) -> None:
    server = keys.server()
    assert load_certificate(keys.folder / "server.key_secret") == (server.public, server.secret)
    assert load_certificate(keys.folder / "server.key") == (server.public, None)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in ("server", "node"):
        _, secret = create_certificates(theirs, name, {"made by": "zmq.auth"})
        os.chmod(secret, 0o600)
    assert Keys.make(theirs).client().public == load_certificate(theirs / "node.key")[0]
    assert Keys.read(theirs).server().allowed == {Keys.read(theirs).client().public}


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """Four for each of many folders, so that some race."""
    folders = [tmp_path / str(number) for number in range(20)]
    with ProcessPoolExecutor(4, mp_context=get_context("forkserver")) as pool:
        rounds = list(pool.map(_make, [folder for folder in folders for _ in range(4)]))
    for number, folder in enumerate(folders):
        assert set(rounds[4 * number : 4 * number + 4]) == {_make(folder)}
        assert not list(folder.glob(".making-*"))


def _make(folder: Path) -> tuple[bytes, bytes, frozenset[bytes]]:
    keys = Keys.make(folder)
    return keys.server().secret, keys.client().secret, keys.server().allowed


def test_what_was_revoked_is_not_allowed_again_by_making(keys: Keys) -> None:
    keys.revoke("node")
    assert Keys.make(keys.folder).server().allowed == frozenset()


def test_a_node_elsewhere_is_allowed_by_its_public_key(keys: Keys, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "server.key").write_bytes((keys.folder / "server.key").read_bytes())
    node = Keys.make(elsewhere)
    assert sorted(_contents(elsewhere)) == ["node.key", "node.key_secret", "server.key"]
    keys.allow(elsewhere / "node.key", "attic")
    keys.allow(elsewhere / "node.key", "attic")
    assert keys.server().allowed == {keys.client().public, node.client().public}
    with pytest.raises(KeysError, match=r"no server\.key_secret: start the server where it lies"):
        node.server()
    with pytest.raises(KeysError, match="holds another key: allow this one by another name"):
        keys.allow(_another(tmp_path), "attic")
    with pytest.raises(KeysError, match="is allowed already, as 'attic'"):
        keys.allow(elsewhere / "node.key", "cellar")
    keys.revoke("attic")
    assert list(keys.allowed()) == ["node"]


def _another(folder: Path) -> Path:
    return Keys.make(folder / "another").folder / "node.key"


def _spoil(name: str, text: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_text(text)

    return spoil


def _swap(folder: Path) -> None:
    """The node's public half in place of the server's."""
    (folder / "server.key").write_bytes((folder / "node.key").read_bytes())


def _cross(folder: Path) -> None:
    """A secret file whose halves are of two pairs."""
    other, path = zmq.curve_keypair()[1].decode(), folder / "server.key_secret"
    path.write_text(path.read_text().replace(Keys.read(folder).server().secret.decode(), other))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "server.key_secret").chmod(0o644), "mode 0644.: chmod 600 .*/server.key_secret"),
        (lambda folder: (folder / "server.key_secret").unlink(), "no server.key_secret: start the server where it"),
        (lambda folder: (folder / "server.key").unlink(), "server.key cannot be read .*: copy it there"),
        (_spoil("server.key_secret", ""), "server.key_secret is damaged: it has no line secret-key"),
        (_spoil("server.key", '    public-key = "short"'), "server.key is damaged: it has no line public-key"),
        (_spoil("allowed/node.key", "\0" * 100), "allowed/node.key is damaged: .*; put back a good copy"),
        (_swap, "server.key is not the public key of .*server.key_secret: delete it and make it again"),
        (_cross, "its two keys do not belong together"),
    ],
)
def test_what_is_wrong_is_said_with_its_cure(keys: Keys, harm: Callable[[Path], None], said: str) -> None:
    harm(keys.folder)
    with pytest.raises(KeysError, match=said):
        keys.server()


def test_a_folder_without_keys_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match=r"has no server.key: make keys \(airtoll keys make "):
        Keys.read(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(KeysError, match=r"no keys can be made in .*; name a folder to write in"):
        Keys.make(tmp_path / "file" / "keys")


@pytest.mark.parametrize("name", ["", "../server", ".hidden", "a/b", "x" * 101])
def test_a_name_is_no_path(keys: Keys, name: str) -> None:
    with pytest.raises(KeysError, match="is no name for a key"):
        keys.revoke(name)
    with pytest.raises(KeysError, match="is no name for a key"):
        keys.allow(keys.folder / "node.key", name)


def test_to_revoke_a_key_that_is_not_there_names_those_that_are(keys: Keys) -> None:
    with pytest.raises(KeysError, match="allows no key named 'attic'; allowed: node"):
        keys.revoke("attic")
