"""Folders of keys: created once, read with checks, and every error reported with a suggested fix."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import zmq
from zmq.auth import create_certificates, load_certificate

from protocol.transports.keys import AllowedKey, Keys, KeysError


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.make(tmp_path / "keys")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_created_once_and_read_unchanged(keys: Keys) -> None:
    before = _contents(keys.folder)
    assert sorted(before) == ["allowed/node.key", "node.key", "node.key_secret", "server.key", "server.key_secret"]
    assert Keys.make(keys.folder).server() == keys.server()
    assert _contents(keys.folder) == before
    server, client = Keys.read(keys.folder).server(), Keys.read(keys.folder).client()
    assert client.server == server.public
    assert list(server.allowed) == [client.public]
    assert zmq.curve_public(server.secret) == server.public
    assert zmq.curve_public(client.secret) == client.public


def test_secrets_are_readable_by_their_owner_only_and_never_shown(keys: Keys) -> None:
    for path in keys.folder.glob("*.key_secret"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for half in (keys.server(), keys.client()):
        assert half.secret.decode() not in f"{half!r} {half} {keys!r}"


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
    assert list(Keys.read(theirs).server().allowed) == [Keys.read(theirs).client().public]


def test_concurrent_processes_create_the_same_keys(tmp_path: Path) -> None:
    """Four for each of many folders, so that some race."""
    folders = [tmp_path / str(number) for number in range(20)]
    with ProcessPoolExecutor(4, mp_context=get_context("forkserver")) as pool:
        rounds = list(pool.map(_make, [folder for folder in folders for _ in range(4)]))
    for number, folder in enumerate(folders):
        assert set(rounds[4 * number : 4 * number + 4]) == {_make(folder)}
        assert not list(folder.glob(".making-*"))


def _make(folder: Path) -> tuple[bytes, bytes, frozenset[bytes]]:
    keys = Keys.make(folder)
    return keys.server().secret, keys.client().secret, frozenset(keys.server().allowed)


def test_a_revoked_key_stays_revoked_when_keys_are_created_again(keys: Keys) -> None:
    keys.revoke("node")
    assert Keys.make(keys.folder).server().allowed == {}


def test_a_node_on_another_machine_is_allowed_by_its_public_key(keys: Keys, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "server.key").write_bytes((keys.folder / "server.key").read_bytes())
    node = Keys.make(elsewhere)
    assert sorted(_contents(elsewhere)) == ["node.key", "node.key_secret", "server.key"]
    keys.allow(elsewhere / "node.key", "attic")
    keys.allow(elsewhere / "node.key", "attic")
    assert keys.server().allowed.keys() == {keys.client().public, node.client().public}
    with pytest.raises(KeysError, match=r"no server\.key_secret: start the server on the machine"):
        node.server()
    with pytest.raises(KeysError, match="holds another key: revoke 'attic' first, or allow this key by another name"):
        keys.allow(_another(tmp_path), "attic")
    with pytest.raises(KeysError, match="is allowed already, as 'attic'"):
        keys.allow(elsewhere / "node.key", "cellar")
    keys.revoke("attic")
    assert list(keys.allowed()) == ["node"]


def test_a_key_is_bound_to_a_node_or_a_worker_by_a_line_of_its_file(keys: Keys, tmp_path: Path) -> None:
    file, allowed = _another(tmp_path), keys.folder / "allowed" / "attic.key"
    keys.allow(file, "attic", node="pair-0", worker="attic 1")
    [bound] = [key for key in keys.server().allowed.values() if key.node]
    assert bound == keys.allowed()["attic"] == AllowedKey(Keys(file.parent).public("node"), "pair-0", "attic 1")
    assert load_certificate(allowed)[0] == bound.key
    assert [bound.refusal(node="pair-0"), bound.refusal(worker="attic 1")] == ["", ""]
    assert bound.refusal(node="pair-1") == "its key is bound to the node 'pair-0': use that name, or another key"
    assert "the worker 'attic 1'" in bound.refusal(worker="cellar")
    assert keys.allowed()["node"].refusal(node="pair-1", worker="cellar") == ""
    a_node, a_worker = AllowedKey(bound.key, node="pair-0"), AllowedKey(bound.key, worker="attic 1")
    assert a_node.refusal(worker="pair-0") == "its key is bound to the node 'pair-0': a worker needs another key"
    assert a_worker.refusal(node="pair-0") == ""
    with pytest.raises(KeysError, match="holds this key with another binding: revoke 'attic' first"):
        keys.allow(file, "attic")
    for name in ('pair"0', "pair\n0", "x" * 201):
        with pytest.raises(KeysError, match=r"--node: .* is no name"):
            keys.allow(file, "attic", node=name)


@pytest.mark.parametrize(
    "line", ["node = pair-0", 'node = ""', 'node "pair-0"', 'node = "a"\n node = "b"', 'worker = "a']
)
def test_a_binding_that_cannot_be_read_is_not_read_as_none(keys: Keys, line: str) -> None:
    path = keys.folder / "allowed" / "node.key"
    path.write_text(path.read_text().replace("metadata\n", f"metadata\n    {line}\n"))
    with pytest.raises(KeysError, match="is damaged: its binding is not one line"):
        keys.server()


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
    ("harm", "message"),
    [
        (lambda folder: (folder / "server.key_secret").chmod(0o644), "mode 0644.: chmod 600 .*/server.key_secret"),
        (
            lambda folder: (folder / "server.key_secret").unlink(),
            "no server.key_secret: start the server on the machine",
        ),
        (lambda folder: (folder / "server.key").unlink(), "server.key cannot be read .*: copy it there"),
        (_spoil("server.key_secret", ""), "server.key_secret is damaged: it has no line secret-key"),
        (_spoil("server.key", '    public-key = "short"'), "server.key is damaged: it has no line public-key"),
        (_spoil("allowed/node.key", "\0" * 100), "allowed/node.key is damaged: .*; restore a good copy"),
        (_swap, "server.key is not the public key of .*server.key_secret: delete it and create it again"),
        (_cross, "its secret and public key are no pair"),
    ],
)
def test_an_error_is_reported_with_a_suggested_fix(keys: Keys, harm: Callable[[Path], None], message: str) -> None:
    harm(keys.folder)
    with pytest.raises(KeysError, match=message):
        keys.server()


def test_a_folder_without_keys_is_reported_with_the_command_that_creates_them(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match=r"has no server.key: create keys \(airtoll keys make "):
        Keys.read(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(KeysError, match=r"keys cannot be created in .*; name a writable folder"):
        Keys.make(tmp_path / "file" / "keys")


@pytest.mark.parametrize("name", ["", "../server", ".hidden", "a/b", "x" * 101])
def test_a_path_is_no_name(keys: Keys, name: str) -> None:
    with pytest.raises(KeysError, match="is no name for a key"):
        keys.revoke(name)
    with pytest.raises(KeysError, match="is no name for a key"):
        keys.allow(keys.folder / "node.key", name)


def test_revoking_an_unknown_key_lists_the_known_ones(keys: Keys) -> None:
    with pytest.raises(KeysError, match="allows no key named 'attic'; allowed: node"):
        keys.revoke("attic")
