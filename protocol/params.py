"""Parameters of worlds and schemes: frozen dataclasses whose fields carry unit, meaning and source.

Bounds are `annotated_types` on the field's type; the catalogue checks them and writes the JSON schema from them.
"""

from dataclasses import field
from typing import Any


def param(default: Any, doc: str, *, unit: str = "", source: str = "") -> Any:
    """A dataclass field with its meaning, unit and source (a paper's equation or table, or "ours")."""
    return field(default=default, metadata={"doc": doc, "unit": unit, "source": source})
