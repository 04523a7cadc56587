"""The controller's REST interface, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from controller.api.auth import Authentication
from controller.api.dependencies import API_PREFIX, Services
from controller.api.framing import UnambiguousLength
from controller.api.page import page_routes
from controller.api.problems import Problem, install_problem_handlers, responses
from controller.api.prometheus import RequestMetrics
from controller.api.routes import (
    catalogue,
    checkpoints,
    comparison,
    events,
    files,
    health,
    log,
    map,  # noqa: A004
    metrics,
    nodes,
    old_version,
    runs,
    toll,
    weights,
    wire,
)
from controller.service.run_manager import RunManager

_THREADS = 8  # for requests that read files or the database

_ROUTES = (
    *(runs, metrics, toll, map, wire, log, checkpoints, files, events),
    *(weights, comparison, nodes, catalogue),
)


def create_app(manager: RunManager, token: str) -> FastAPI:
    """The application that serves the runs of a manager, which is opened and closed with it."""
    services = Services(manager)
    app = FastAPI(
        title="airtoll controller",
        version=version("airtoll"),
        description="Runs of emulated radio networks whose nodes learn, with every byte of signalling metered.",
        openapi_url=f"{API_PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        middleware=[
            Middleware(RequestMetrics, metrics=services.metrics),
            Middleware(UnambiguousLength),
            Middleware(Authentication, token=token),
        ],
        generate_unique_id_function=_operation_id,
        responses=responses(401, 403, 503),
        redirect_slashes=False,
    )
    app.state.services = services
    for resource in _ROUTES:
        app.include_router(resource.router, prefix=API_PREFIX)
    app.include_router(health.router)
    app.include_router(old_version.router)
    app.router.routes += page_routes()
    install_problem_handlers(app)
    _describe_problems(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    # threads take turns in Python: of forty that compute, the event loop waits for each
    to_thread.current_default_thread_limiter().total_tokens = _THREADS
    await services.manager.open()
    try:
        yield
    finally:
        services.streams.close()
        await services.manager.close()


def _operation_id(route: APIRoute) -> str:
    return route.name


def _describe_problems(app: FastAPI) -> None:
    """Add the schema of a problem to the OpenAPI document: no route declares it as its own answer."""
    describe = app.openapi

    def openapi() -> dict[str, object]:
        document = describe()
        schemas = document["components"]["schemas"]
        if "Problem" not in schemas:
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs") | {"Problem": schema}
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"token": []}, {}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]
