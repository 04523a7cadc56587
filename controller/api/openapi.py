"""The OpenAPI document of the REST interface: `python -m controller.api.openapi > docs/openapi.json`."""

from protocol.determinism import threads

threads.pin()  # before anything imports numpy

import asyncio  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from contextlib import closing  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import TemporaryDirectory  # noqa: E402

from controller.api.app import create_app  # noqa: E402
from controller.service.run_manager import RunManager  # noqa: E402
from controller.service.settings import ServiceSettings  # noqa: E402
from controller.service.store import Store  # noqa: E402


def document() -> str:
    """The document as it is committed."""
    with TemporaryDirectory() as data, closing(Store(f"sqlite:///{data}/runs.db")) as store:
        manager = RunManager(ServiceSettings(Path(data)), store)
        described = create_app(manager, token="").openapi()
        asyncio.run(manager.close())
        return json.dumps(described, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
