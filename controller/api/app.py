"""The controller's REST interface, put together."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from controller.api import overviews, page, results, runs, weights
from controller.api.auth import Locks
from controller.api.dependencies import Services, ServicesDep
from controller.api.problems import Problem, install_problem_handlers, problem, responses
from controller.api.prometheus import Counting, Gauges
from controller.api.schemas import Health
from controller.service.limits import MAX_READERS, REQUEST_TIMEOUT_S
from controller.service.run_manager import RunManager

PREFIX = "/api/v1"
_LOG = logging.getLogger("airtoll")


def create_app(
    manager: RunManager, token: str, *, max_readers: int = MAX_READERS, timeout_s: float = REQUEST_TIMEOUT_S
) -> FastAPI:
    """The application for the runs of an owner, which is opened and closed with it. `timeout_s`: for a body to
    come."""
    services = Services(manager, max_readers=max_readers, timeout_s=timeout_s)
    gauges = Gauges(services)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await manager.open()
        try:
            yield
        finally:
            services.watches.close()
            await manager.close()

    app = FastAPI(
        title="airtoll controller",
        version=version("airtoll"),
        description="Runs of emulated radio networks whose nodes learn, with every byte they tell each other measured.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=[Middleware(Counting, gauges=gauges), Middleware(Locks, token=token)],
        generate_unique_id_function=_operation,
        responses=responses(401, 403, 503),
        redirect_slashes=False,
    )
    app.state.services = services
    for routes in (runs.router, results.router, weights.router, overviews.router):
        app.include_router(routes, prefix=PREFIX)
    app.include_router(_about_itself(gauges))
    app.include_router(page.router)
    install_problem_handlers(app)
    _describe_problems(app)
    return app


def _about_itself(gauges: Gauges) -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.get("/healthz")
    async def healthz() -> Health:
        """The service answers."""
        return Health(status="ok")

    @router.get("/readyz", response_model=Health)
    def readyz(services: ServicesDep) -> Health | Response:
        """The service can be used: its store answers."""
        try:
            services.manager.store.ping()
        except Exception as error:
            _LOG.warning("the store does not answer", exc_info=error)
            return problem(503, f"the store does not answer: {type(error).__name__}", headers={"Retry-After": "10"})
        return Health(status="ok")

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def prometheus() -> Response:
        """For Prometheus."""
        return Response(gauges.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _operation(route: APIRoute) -> str:
    """Operations are named as the functions that answer them."""
    return route.name


def _describe_problems(app: FastAPI) -> None:
    """The shape of a problem stands in the OpenAPI document, though no route returns one by itself."""
    described = app.openapi

    def openapi() -> dict[str, object]:
        document = described()
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
