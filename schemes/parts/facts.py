"""Static information: what a world tells a node in its Welcome, as a typed value."""

from typing import TypeVar

import msgspec
from msgspec import Struct

from protocol.messages.node import Welcome

Facts = TypeVar("Facts", bound=Struct)


def static_facts(welcome: Welcome, kind: type[Facts], *, world: str) -> Facts:
    """The node's static information as a `kind`. ValueError that names `world`, which has it, for any other one's."""
    try:
        return msgspec.convert(welcome.static_info, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{welcome.scheme} runs in the world {world}, not in this one: {error}") from None
