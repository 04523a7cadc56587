"""Generated requests to every operation of the OpenAPI document, whose answers must conform to it."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


def fuzz(url: str, run_id: str, *, examples: int, token: str = "") -> int:
    """Send `examples` requests to each operation, half of them about `run_id`; the number of operations."""
    checks.load_all_checks()
    schema: Any = _schema(url, token)
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        _fuzz_operation(operation, run_id, examples, _headers(token))
    return len(operations)


def fuzz_sequences(url: str, *, examples: int, steps: int, token: str = "") -> None:
    """Send `examples` sequences of up to `steps` requests, in which later ones use earlier answers."""
    checks.load_all_checks()
    schema: Any = _schema(url, token)
    machine: Any = schema.as_state_machine()
    wanted = checks.CHECKS.get_by_names((*_CHECKS, "use_after_free"))

    class Sequence(machine):  # type: ignore[misc]
        """Answers are checked as those of single requests are."""

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(response, checks=wanted)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            """Every request has the token."""
            return {"headers": _headers(token)}

    with_limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    Sequence.run(settings=with_limits)


def _schema(url: str, token: str) -> Any:
    return schemathesis.openapi.from_url(f"{url}/api/v2/openapi.json", headers=_headers(token))


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _fuzz_operation(operation: Any, run_id: str, examples: int, headers: dict[str, str]) -> None:
    counted = 0

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        nonlocal counted
        counted += 1
        if counted % 2 and "run_id" in (case.path_parameters or {}) and operation.method.upper() != "DELETE":
            case.path_parameters["run_id"] = run_id
        case.call_and_validate(checks=checks.CHECKS.get_by_names(_CHECKS), timeout=30, headers=headers)

    check()
