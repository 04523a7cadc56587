"""The routes of the available worlds and schemes."""

import dataclasses

from fastapi import APIRouter

from controller.api.schemas import SchemeInfo, WorldInfo
from controller.config.catalogue import params_schema, schemes, worlds, worlds_of

router = APIRouter(tags=["overviews"])


@router.get("/worlds")
def all_worlds() -> list[WorldInfo]:
    """The available worlds."""
    return [
        WorldInfo(name=name, summary=world.summary, source=world.source, parameters=params_schema(world))
        for name, world in worlds().items()
    ]


@router.get("/schemes")
def all_schemes() -> list[SchemeInfo]:
    """The available schemes."""
    return [
        SchemeInfo(
            name=name,
            card=dataclasses.asdict(scheme.card) | {"worlds": worlds_of(scheme)},
            learns=scheme.learns,
            parameters=params_schema(scheme),
        )
        for name, scheme in schemes().items()
    ]
