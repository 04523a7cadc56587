"""The committed OpenAPI document is that of the interface."""

from controller.api.openapi import document
from tests.docs.pages import page


def test_the_committed_document_is_the_interfaces() -> None:
    assert page("openapi.json") == document(), "python -m controller.api.openapi > docs/openapi.json"
