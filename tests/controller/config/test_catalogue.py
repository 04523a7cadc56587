"""The catalogue: what is there is found, what is not is named with the nearest."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest
from annotated_types import Ge, Le
from pydantic import ValidationError

from channel_server.worlds.contract import World, WorldEntry
from controller.config import catalogue
from controller.config.catalogue import choice_model, parameters, params_schema, scheme_named, world_named
from controller.config.errors import ConfigError, format_validation_error
from protocol.params import param


@dataclass(frozen=True)
class Room:
    """Parameters of every sort."""

    seats: Annotated[int, Ge(1), Le(9)] = param(4, "places to sit", unit="1", source="table I")
    width_m: float = param(2.5, "wall to wall", unit="m")
    floor: Literal["wood", "stone"] = param("wood", "underfoot")
    corners: tuple[int, ...] = param((1, 2), "where the lamps are")


def _never(params: Any, *, seed: int, replicas: int) -> World:
    raise NotImplementedError


def _no_memory(params: Any, replicas: int) -> int:
    return 0


ROOM = WorldEntry("room", "a room", "ours", Room, _never, _no_memory)


def test_worlds_and_schemes_are_found_under_their_own_names() -> None:
    assert {"conflict_graph", "d2d_underlay"} <= set(catalogue.worlds())
    assert {"li2020/random", "zhang2025/q_csma"} <= set(catalogue.schemes())
    assert all(world_named(name).name == name for name in catalogue.worlds())
    assert all(scheme_named(name).card.name == name for name in catalogue.schemes())


def test_every_scheme_is_at_home_in_a_world_that_is_there() -> None:
    assert {w for s in catalogue.schemes().values() for w in catalogue.worlds_of(s)} <= set(catalogue.worlds())


def test_an_unknown_world_is_rejected_with_the_known_and_the_nearest() -> None:
    with pytest.raises(ConfigError) as rejected:
        world_named("d2d_underley")
    known = ", ".join(catalogue.worlds())
    assert str(rejected.value) == f"no world named 'd2d_underley'; known: {known}; did you mean 'd2d_underlay'?"


def test_an_unknown_scheme_far_from_all_has_no_nearest() -> None:
    with pytest.raises(ConfigError) as rejected:
        scheme_named("zzz")
    assert str(rejected.value).startswith("no scheme named 'zzz'; known: khan2020/")
    assert "did you mean" not in str(rejected.value)


def test_parameters_become_the_entrys_own_dataclass() -> None:
    choice = choice_model(ROOM).model_validate_json('{"name": "room", "width_m": 3, "corners": [7]}')
    assert msgspec.convert(parameters(choice), Room) == Room(width_m=3.0, corners=(7,))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ('"seats": 0', "seats: 0 is not allowed: must be at least 1"),
        ('"seats": 10', "seats: 10 is not allowed: must be at most 9"),
        ('"seats": true', "seats: true is not allowed: must be a whole number"),
        ('"seats": 1.5', "seats: 1.5 is not allowed: must be a whole number"),
        ('"seats": "4"', "seats: '4' is not allowed: must be a whole number"),
        ('"width_m": true', "width_m: true is not allowed: must be a number"),
        ('"width_m": NaN', "width_m: NaN is not allowed: must be a finite number"),
        ('"floor": "sand"', "floor: 'sand' is not allowed: must be 'wood' or 'stone'"),
        ('"corners": ["x"]', "corners.0: 'x' is not allowed: must be a whole number"),
        (
            '"seat": 3',
            "seat: 3 is not allowed: no such key; known: corners, floor, name, seats, width_m; did you mean 'seats'?",
        ),
    ],
)
def test_an_invalid_parameter_is_rejected_with_key_value_and_fix(given: str, message: str) -> None:
    model = choice_model(ROOM)
    with pytest.raises(ValidationError) as error:
        model.model_validate_json('{"name": "room", ' + given + "}")
    assert format_validation_error(error.value, model) == [message]


def test_the_schema_carries_default_unit_meaning_source_and_bounds() -> None:
    schema = params_schema(ROOM)
    expected = {"default": 4, "minimum": 1, "maximum": 9, "unit": "1", "source": "table I"}
    assert expected.items() <= schema["properties"]["seats"].items()
    assert schema["properties"]["seats"]["description"] == "places to sit"
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("entry", [*catalogue.worlds().values(), *catalogue.schemes().values()], ids=catalogue.name_of)
def test_every_parameter_is_documented_and_its_default_allowed(entry: catalogue.Entry) -> None:
    defaults = choice_model(entry).model_validate_json(f'{{"name": "{catalogue.name_of(entry)}"}}')
    again = choice_model(entry).model_validate_json(defaults.model_dump_json())
    assert msgspec.convert(parameters(again), entry.params) == entry.params()
    properties = params_schema(entry)["properties"]
    assert [name for name, about in properties.items() if name != "name" and not about.get("description")] == []
