"""The signalling models under which the conformance kits run every scheme."""

from typing import Any

MODELS: dict[str, dict[str, Any]] = {
    "late": {"all": {"delay_slots": 2}},
    "lossy": {"all": {"loss": 0.2}},
    "narrow": {"all": {"bits_per_slot": 500}},
    "radio": {"all": {"bits_per_slot": "radio", "share": 0.05}},
    "all of it": {
        "all": {"delay_slots": 1, "loss": 0.1, "bits_per_slot": 300, "ack": {"delay_slots": 0}},
        "priorities": ["feedback"],
    },
}


def fits(model: str, world: str) -> bool:
    """Whether the world supports the model."""
    return model != "radio" or world == "d2d_underlay"
