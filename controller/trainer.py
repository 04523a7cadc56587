"""The trainer: the node at the BS/cloud that decides for central schemes."""

import msgspec

from protocol.messages import Welcome
from schemes.contract import NodePolicy, load


def trainer_policy(welcome: Welcome) -> NodePolicy:
    """The cloud side of the scheme that the Welcome names. ValueError if the scheme has none."""
    scheme = load(welcome.scheme)
    if scheme.cloud is None:
        raise ValueError(f"{welcome.scheme} has a turn for the trainer but no cloud side: give its SCHEME one")
    return scheme.cloud(welcome, msgspec.convert(welcome.params, scheme.params))
