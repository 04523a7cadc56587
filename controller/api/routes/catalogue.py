"""The routes of the available worlds, schemes and studies without slots."""

import dataclasses

from fastapi import APIRouter

from controller.api.schemas import SchemeInfo, StudyInfo, WorldInfo
from controller.config.catalogue import offline_studies, params_schema, schemes, worlds, worlds_of

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
            needs=list(scheme.needs),
            parameters=params_schema(scheme),
        )
        for name, scheme in schemes().items()
    ]


@router.get("/studies")
def all_studies() -> list[StudyInfo]:
    """The available studies without slots."""
    return [
        StudyInfo(
            name=name,
            summary=study.summary,
            citation=study.citation,
            numbers=dict(study.numbers),
            labels={label: list(values) for label, values in study.labels.items()},
            parameters=params_schema(study),
        )
        for name, study in offline_studies().items()
    ]
