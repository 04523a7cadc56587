"""CURVE keys: the values that encrypt and authenticate sockets, and the folder that holds them.

    DIR/server.key_secret   the server's secret key; stays on its machine, mode 0600
    DIR/server.key          its public key: every node needs it
    DIR/node.key_secret     a node's secret key, mode 0600
    DIR/node.key            its public key: the server must allow it
    DIR/allowed/NAME.key    the public keys of the nodes that may connect; each may be bound to one node or worker

Files are certificates in the format of zmq.auth, which is not imported: it would load asyncio into every node.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import zmq

from protocol.messages.text import is_name

SERVER, NODE = "server", "node"
KEY_PREFIX_CHARS = 8  # of a key, for logs
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_Z85 = r"""["']?([0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40})["']?"""


class KeysError(ValueError):
    """Keys that cannot be used; the message names the file and a fix."""


class AllowedKey(NamedTuple):
    """A public key that may connect, Z85. `node`: the only node that it may be, of any run; `worker`: the only worker
    of the pool; "" for any."""

    key: bytes
    node: str = ""
    worker: str = ""

    @property
    def prefix(self) -> str:
        """Its first characters, for logs."""
        return self.key[:KEY_PREFIX_CHARS].decode()

    def refusal(self, *, node: str = "", worker: str = "") -> str:
        """Why its owner may not join as this node or this worker, or "".

        A worker's key joins as any node: as those that the controller has it run.
        """
        if worker and self.node and not self.worker:
            return f"its key is bound to the node {self.node!r}: a worker needs another key"
        for kind, name, bound in (("node", node, self.node), ("worker", worker, self.worker)):
            if name and bound and name != bound:
                return f"its key is bound to the {kind} {bound!r}: use that name, or another key"
        return ""


@dataclass(frozen=True)
class ServerKeys:
    """The keys of a server's socket. Keys are Z85, 40 characters; `allowed` holds the nodes' public keys, by key."""

    secret: bytes = field(repr=False)
    public: bytes
    allowed: Mapping[bytes, AllowedKey]


@dataclass(frozen=True)
class ClientKeys:
    """The keys of a node's socket: its own pair, and the public key of its `server`. Z85, 40 characters."""

    secret: bytes = field(repr=False)
    public: bytes
    server: bytes


@dataclass(frozen=True)
class Keys:
    """A folder of keys. Each method reads or writes the files again; all raise KeysError."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Keys":
        """Create the files that the folder lacks; existing files stay. Several processes may do so at once.

        A folder that has `server.key` without its secret (a node's folder, on another machine) gets the node's keys
        only. The list of allowed keys is written once: a revoked key stays revoked.
        """
        if not zmq.has("curve"):
            raise KeysError("this pyzmq was built without CURVE: install one of its wheels (pip install pyzmq)")
        keys = cls(folder)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            keys._make_pair(SERVER)
            keys._make_pair(NODE)
            keys._make_allowed()
        except OSError as error:
            raise KeysError(f"keys cannot be created in {folder}: {error.strerror}; name a writable folder") from error
        return keys

    @classmethod
    def read(cls, folder: Path) -> "Keys":
        """An existing folder of keys."""
        keys = cls(folder)
        if not keys._exists(f"{SERVER}.key"):
            raise KeysError(f"{folder} has no {SERVER}.key: create keys (airtoll keys make {folder}), or copy it there")
        return keys

    def server(self) -> ServerKeys:
        """The keys of this folder's server."""
        if not self._exists(f"{SERVER}.key_secret"):
            raise KeysError(
                f"{self.folder} has no {SERVER}.key_secret: start the server on the machine that has it, "
                f"or create keys in a new folder (airtoll keys make)"
            )
        secret, public = self._secret(SERVER)
        return ServerKeys(secret, public, {allowed.key: allowed for allowed in self.allowed().values()})

    def client(self) -> ClientKeys:
        """The keys of this folder's node."""
        if not self._exists(f"{NODE}.key_secret"):
            raise KeysError(f"{self.folder} has no {NODE}.key_secret: create keys (airtoll keys make {self.folder})")
        secret, public = self._secret(NODE)
        return ClientKeys(secret, public, self.public(SERVER))

    def public(self, name: str) -> bytes:
        """The public key of `server` or `node`."""
        return _public_key(self.folder / f"{name}.key")

    def allowed(self) -> Mapping[str, AllowedKey]:
        """The public keys that may connect, by name."""
        return {path.stem: _allowed_key(path) for path in sorted((self.folder / "allowed").glob("*.key"))}

    def allow(self, file: Path, name: str, *, node: str = "", worker: str = "") -> None:
        """Allow the node whose public key is in `file` to connect, under this name. A key has one name, so that
        revoking the name revokes the key. `node`, `worker`: what it is bound to."""
        key = AllowedKey(_public_key(file), _bound("--node", node), _bound("--worker", worker))
        path = self._allowed_path(name)
        if names := [other for other, known in self.allowed().items() if known.key == key.key and other != name]:
            raise KeysError(f"the key of {file} is allowed already, as {names[0]!r}")
        try:
            path.parent.mkdir(exist_ok=True)
            _put(path, _certificate(key.key, bound=key))
        except OSError as error:
            raise KeysError(f"{path} cannot be written: {error.strerror}") from error
        if (present := _allowed_key(path)) != key:
            what = "another key" if present.key != key.key else "this key with another binding"
            raise KeysError(f"{path} holds {what}: revoke {name!r} first, or allow this key by another name")

    def revoke(self, name: str) -> None:
        """Remove the key of this name from the list."""
        try:
            self._allowed_path(name).unlink()
        except FileNotFoundError:
            known = ", ".join(self.allowed()) or "none"
            raise KeysError(f"{self.folder} allows no key named {name!r}; allowed: {known}") from None
        except OSError as error:
            raise KeysError(f"{self._allowed_path(name)} cannot be removed: {error.strerror}") from error

    def _exists(self, name: str) -> bool:
        try:
            return (self.folder / name).exists()
        except OSError as error:
            raise _unreadable(self.folder / name, error) from error

    def _secret(self, name: str) -> tuple[bytes, bytes]:
        """The secret key and its public one, which must be that of the public file."""
        path = self.folder / f"{name}.key_secret"
        secret, public = _secret_key(path)
        if self.public(name) != public:
            raise KeysError(f"{self.folder}/{name}.key is not the public key of {path}: delete it and create it again")
        return secret, public

    def _make_pair(self, name: str) -> None:
        """Create a key pair. The secret file is written first and holds both keys, so that an interrupted or concurrent
        call can write the public one."""
        public, secret = self.folder / f"{name}.key", self.folder / f"{name}.key_secret"
        if public.exists():
            return
        if not secret.exists():
            _put(secret, _certificate(*zmq.curve_keypair()), mode=0o600)
        _put(public, _certificate(_secret_key(secret)[1]))

    def _make_allowed(self) -> None:
        """Create the list of a new server with its own folder's node on it, atomically by a rename."""
        allowed = self.folder / "allowed"
        if allowed.exists() or not self._exists(f"{SERVER}.key_secret"):
            return
        with TemporaryDirectory(dir=self.folder, prefix=".making-") as aside:
            new = Path(aside, "allowed")
            new.mkdir()
            _put(new / f"{NODE}.key", _certificate(self.public(NODE)))
            try:
                new.rename(allowed)
            except OSError:
                if not allowed.is_dir():  # another process was not first
                    raise

    def _allowed_path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise KeysError(f"{name!r} is no name for a key: use letters, digits, '-', '_' and '.'")
        return self.folder / "allowed" / f"{name}.key"


def _certificate(public: bytes, secret: bytes | None = None, bound: AllowedKey | None = None) -> str:
    """A key file's text; a secret file holds both keys, one of an allowed key what it is bound to."""
    names = {} if bound is None else {"node": bound.node, "worker": bound.worker}
    metadata = [f'    {kind} = "{name}"' for kind, name in names.items() if name]
    lines = ["# airtoll: a CURVE certificate", "metadata", *metadata, "curve", f'    public-key = "{public.decode()}"']
    if secret is not None:
        lines[0] = "# airtoll: a SECRET CURVE certificate: do not copy it, mode 0600"
        lines.append(f'    secret-key = "{secret.decode()}"')
    return "\n".join(lines) + "\n"


def _put(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Create a file atomically; an existing file stays as it is."""
    with TemporaryDirectory(dir=path.parent, prefix=".making-") as aside:
        made = Path(aside, path.name)
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(made, path)


def _public_key(path: Path) -> bytes:
    return _key(path, _text(path), "public")


def _allowed_key(path: Path) -> AllowedKey:
    text = _text(path)
    bindings: dict[str, str] = {}
    for kind in ("node", "worker"):
        lines = re.findall(rf"^[ \t]*{kind}\b(.*)$", text, re.MULTILINE)
        found = [re.fullmatch(r'\s*=\s*"([^"]+)"\s*', line) for line in lines]
        if len(found) > 1 or None in found:  # read as no binding, it would allow more than its author meant
            raise _damaged(path, f'its binding is not one line {kind} = "NAME"')
        bindings.update((kind, match[1]) for match in found if match)
    return AllowedKey(_key(path, text, "public"), **bindings)


def _bound(option: str, name: str) -> str:
    if is_name(name) and '"' not in name:
        return name
    raise KeysError(f'{option}: {name[:100]!r} is no name: use letters, digits and other printable characters but "')


def _secret_key(path: Path) -> tuple[bytes, bytes]:
    """The secret and the public key of a file that only its owner can read."""
    text = _text(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise KeysError(f"{path} can be read by others (mode {mode:04o}): chmod 600 {path}")
    secret, public = _key(path, text, "secret"), _key(path, text, "public")
    if zmq.curve_public(secret) != public:
        raise _damaged(path, "its secret and public key are no pair")
    return secret, public


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:10_000].decode("utf-8", "replace")
    except OSError as error:
        raise _unreadable(path, error) from error


def _key(path: Path, text: str, half: str) -> bytes:
    """The key of a certificate; lines that begin with # are comments."""
    found = re.search(rf"^\s*{half}-key\s*=\s*{_Z85}\s*$", text, re.MULTILINE)
    if found is None:
        raise _damaged(path, f"it has no line {half}-key with 40 characters of Z85")
    return found[1].encode()


def _damaged(path: Path, why: str) -> KeysError:
    return KeysError(f"{path} is damaged: {why}; restore a good copy, or delete this pair and create it again")


def _unreadable(path: Path, error: OSError) -> KeysError:
    fix = (
        "copy it there"
        if isinstance(error, FileNotFoundError)
        else "give the user who runs airtoll permission to read it"
    )
    return KeysError(f"{path} cannot be read ({error.strerror}): {fix}")
