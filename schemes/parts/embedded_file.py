"""A file as the text of a parameter, so that its content travels with the configuration, the plan and the Welcome.

    policy.safetensors;sha256=9f86d0...;base64=AAAA...

Whoever reads a configuration from a file replaces the paths of such files by this text (controller.config.layers).
"""

from base64 import b64decode, b64encode
from binascii import Error
from hashlib import sha256
from typing import NamedTuple

SUFFIXES = (".safetensors", ".pt")
MAX_BYTES = 8 * 2**20
_DIGEST = ";sha256="  # ends the name


class EmbeddedFile(NamedTuple):
    """A file's name, without its folder, and its content."""

    name: str
    data: bytes


def embed(file: EmbeddedFile) -> str:
    """The text for a file. ValueError for one that is too large to travel so."""
    if len(file.data) > MAX_BYTES:
        raise ValueError(f"{file.name} has {len(file.data)} bytes: at most {MAX_BYTES} travel with a run")
    return f"{file.name}{_DIGEST}{sha256(file.data).hexdigest()};base64={b64encode(file.data).decode()}"


def name_in(text: str) -> str:
    """The name of the file in a text, or a text that holds none as it is."""
    return text.partition(_DIGEST)[0]


def extract(text: str) -> EmbeddedFile:
    """The file in a text. ValueError if it is none, or if its content is not what was embedded."""
    name, _, rest = text.partition(_DIGEST)
    digest, separator, encoded = rest.partition(";base64=")
    if not separator:
        raise ValueError(f"{text[:80]!r} holds no file: give the path of one that ends in {' or '.join(SUFFIXES)}")
    try:
        data = b64decode(encoded, validate=True)
    except Error as error:
        raise ValueError(f"the content of {name} is damaged: {error}; give the path of the file again") from error
    if sha256(data).hexdigest() != digest:
        raise ValueError(f"the content of {name} does not have its sha256: give the path of the file again")
    return EmbeddedFile(name, data)
