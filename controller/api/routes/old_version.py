"""The paths of the interface's earlier version."""

from fastapi import APIRouter

from controller.api.dependencies import API_PREFIX
from controller.api.problems import RequestRejectedError

router = APIRouter(include_in_schema=False)


@router.api_route("/api/v1/{_path:path}", methods=["DELETE", "GET", "POST", "PUT"])
def version_1(_path: str) -> None:
    """Reject requests to version 1, with the paths of the present version."""
    raise RequestRejectedError(410, f"/api/v1 is gone: use {API_PREFIX}; its document is {API_PREFIX}/openapi.json")
