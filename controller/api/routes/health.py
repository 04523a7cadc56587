"""The routes for those who operate the service: probes and Prometheus."""

import logging

from fastapi import APIRouter, Response

from controller.api.dependencies import ServicesDep
from controller.api.problems import problem
from controller.api.schemas import Health

router = APIRouter(tags=["service"])

_LOG = logging.getLogger("airtoll")


@router.get("/healthz")
async def healthz() -> Health:
    """Whether the service is alive."""
    return Health(status="ok")


@router.get("/readyz", response_model=Health)
def readyz(services: ServicesDep) -> Health | Response:
    """Whether the service can be used: its store answers."""
    try:
        services.manager.store.ping()
    except Exception as error:
        _LOG.warning("the store does not answer", exc_info=error)
        return problem(503, f"the store does not answer: {type(error).__name__}", headers={"Retry-After": "10"})
    return Health(status="ok")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def prometheus(services: ServicesDep) -> Response:
    """The service's metrics in Prometheus's text format."""
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
