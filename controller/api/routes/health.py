"""The routes for those who operate the service: probes and Prometheus."""

from fastapi import APIRouter, Response

from controller.api.dependencies import ServicesDep
from controller.api.problems import problem
from controller.api.schemas import Health

router = APIRouter(tags=["service"])


@router.get("/healthz")
async def healthz() -> Health:
    """Whether the service is alive."""
    return Health(status="ok")


@router.get("/readyz", response_model=Health)
async def readyz(services: ServicesDep) -> Health | Response:
    """Whether the service can do its work: its tasks live, its store and its data folder can be written."""
    if reason := await services.manager.readiness.problem():
        return problem(503, reason, headers={"Retry-After": "10"})
    return Health(status="ok")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def prometheus(services: ServicesDep) -> Response:
    """The service's metrics in Prometheus's text format."""
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
