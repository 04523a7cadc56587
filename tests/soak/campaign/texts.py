"""Bad configurations: JSON and YAML that are quadratic, deep, huge, or of types that no setting has."""

import json
from collections.abc import Callable
from functools import partial
from random import Random

from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import API, JSON, YAML, Scene
from tests.soak.campaign.works import RUNS

_PER_FAULT = 12
_BASE = "world: {name: d2d_underlay, pairs: 3, rbs: 2}\nscheme: li2020/sla\n"
_KEYS = ("seed", "slots", "replicas", "episode_slots", "untrained", "baselines", "signalling", "clock", "record")
_CONFIG = {key: value for key, value in RUNS["canary"].items() if key != "placement"}
_VALUES = (  # YAML of types that JSON lacks, or that no setting takes
    *("2024-01-01", "2024-01-01T10:00:00Z", "!!binary aGVsbG8=", "!!set {a, b}", "!!omap [a: 1]", "!!bool abc"),
    *("!!int abc", "!!float x", "!!timestamp abc", "!!python/object/apply:os.system [echo]", "!!python/name:os.system"),
    *("!!null x", "!unknown x", "{[1, 2]: 3}", "{{a: 1}: 2}", "{2024-01-01: 1}", "{1.5: 2}", "{true: 1}", "{null: 1}"),
    *(
        ".nan",
        "-.inf",
        ".inf",
        "1e999",
        "0x" + "f" * 5000,
        "9" * 6000,
        "-" + "9" * 6000,
        "1_0" * 3000,
        "0b" + "1" * 9000,
    ),
    *(
        "1" + ":59" * 2000,
        '"\\ud800"',
        '"\\0"',
        '"\\x85"',
        '"\\u2028"',
        "*missing",
        "&a [*a]",
        "&a {b: *a}",
        "? a",
        "<<: 1",
    ),
    *("[", "{", '"', "'", "|", ">", "@", "`", "%", "\t", "- - - -", "a: b: c", "\x00", "\x85", "\ufeff", "---\n---\n"),
)


def json_torture(scene: Scene, rng: Draw) -> str:
    """Post bad JSON."""
    makers = [_huge_run, _escaped_quotes, *(rng.choice(_JSON) for _ in range(_PER_FAULT - 2))]  # the worst every time
    return _post(scene, [make(rng).encode("utf-8", "surrogatepass") for make in makers], JSON)


def yaml_torture(scene: Scene, rng: Draw) -> str:
    """Post bad YAML."""
    return _post(scene, bad_yamls(rng, _PER_FAULT), YAML)


def bad_yamls(rng: Random, number: int) -> list[bytes]:
    """So many bad YAML documents."""
    makers = [_yaml_value, *(rng.choice(_YAML) for _ in range(number - 1))]
    return [make(rng).encode("utf-8", "surrogatepass") for make in makers]


def _post(scene: Scene, bodies: list[bytes], kind: dict[str, str]) -> str:
    """Post each body; a configuration that happens to be valid is stopped."""
    statuses = []
    for body in bodies:
        answer = scene.request("POST", f"{API}/runs", body, kind, bad=True)
        statuses.append(answer.status)
        if scene.broken:
            break
        if answer.status == 202:
            run_id = json.loads(answer.body)["id"]
            scene.request("POST", f"{API}/runs/{run_id}/stop")
            scene.until(partial(_deleted, scene, run_id), 30)
    return f"{len(bodies)} bodies of up to {max(map(len, bodies)):,} bytes: {sorted(set(statuses))}"


def _deleted(scene: Scene, run_id: str) -> bool:
    return scene.request("DELETE", f"{API}/runs/{run_id}").status in (204, 404)


def _size(rng: Random) -> int:
    return rng.choice((1_000, 40_000, 200_000, 490_000))


def _escaped_quotes(rng: Random) -> str:
    """Nothing but escaped quotes outside of any string: quadratic for a search for strings by expression."""
    return '\\"' * rng.choice((60_000, 200_000, 490_000))


def _quotes(rng: Random) -> str:
    return rng.choice(('\\"', '"\\', '\\\\"', '"', "\\", '"a', '\\u0022"', '"\\"')) * (_size(rng) // 2)


def _deep(rng: Random) -> str:
    opening = rng.choice(("[", '{"a":', '[{"a":', "[[", '{"":'))
    return opening * (_size(rng) // len(opening)) + rng.choice(("", "1", "]" * 1000, "}" * 1000))


def _json_number(rng: Random) -> str:
    number = rng.choice(
        ("9" * 6000, "1e400", "-1e400", "NaN", "Infinity", "1" + "0" * 4299, "0." + "1" * 5000, "-0", "1E" + "9" * 50)
    )
    return json.dumps(_CONFIG | {"seed": 0}).replace('"seed": 0', f'"{rng.choice(_KEYS)}": {number}')


def _json_string(rng: Random) -> str:
    text = rng.choice(("\\ud800", "\\u0000", "\\u2028", "\\u0085", "x" * 100_000, "../../../etc/passwd", "\\u202e"))
    place = rng.choice(("scheme", "world", "out", "placement", "on_channel_server_loss"))
    return json.dumps(_CONFIG | {place: "@"}).replace("@", text)


def _many_keys(rng: Random) -> str:
    return json.dumps({f"key{number}": number for number in range(_size(rng) // 20)} | _CONFIG)


def _same_keys(rng: Random) -> str:
    return "{" + '"seed": 1, ' * (_size(rng) // 11) + json.dumps(_CONFIG)[1:]


def _json_type(rng: Random) -> str:
    value: object = rng.choice(
        ([], {}, None, True, 1.5, "x", [[[]]], {"name": None}, {"name": {}}, [1, "a", None], "", -1, 2**70)
    )
    return json.dumps(_CONFIG | {rng.choice([*_KEYS, *_CONFIG]): value})


def _huge_run(rng: Random) -> str:
    """A valid run that is too large for any machine."""
    sizes = rng.choice(((500, 500, 1), (300, 300, 1), (3, 2, 10_000), (1000, 10, 1), (100, 100, 1000)))
    pairs, rbs, replicas = sizes
    return json.dumps(_CONFIG | {"world": {"name": "d2d_underlay", "pairs": pairs, "rbs": rbs}, "replicas": replicas})


def _noise(rng: Random) -> str:
    return rng.randbytes(rng.choice((1, 10, 1000))).decode("latin-1")


def _cut(rng: Random) -> str:
    text = json.dumps(_CONFIG)
    return text[: rng.randrange(len(text))]


def _yaml_value(rng: Random) -> str:
    return f"{_BASE}{rng.choice(_KEYS)}: {rng.choice(_VALUES)}\n"


def _yaml_key(rng: Random) -> str:
    return f"{_BASE}? {rng.choice(_VALUES)}\n: 1\n"


def _yaml_document(rng: Random) -> str:
    return rng.choice(_VALUES)


def _yaml_nested_value(rng: Random) -> str:
    value = rng.choice(_VALUES)
    return f"world: {{name: d2d_underlay, pairs: {value}}}\nscheme: {{name: li2020/sla, x: {value}}}\nslots: 10\n"


def _yaml_aliases(rng: Random) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, rng.choice((5, 9, 30)))]
    return "\n".join(lines)


def _yaml_deep(rng: Random) -> str:
    opening = rng.choice(("[", "{a: ", "- ", "? "))
    return opening * (min(_size(rng), 200_000) // len(opening))


def _yaml_long(rng: Random) -> str:
    piece = rng.choice(
        ("a: 1\n", "- x\n", "# c\n", "'", '"\\', "a:\n ", "&a ", "!!str ", "| \n", "%YAML 1.1\n", "\n", "x: >\n")
    )
    return piece * (_size(rng) // len(piece))


_JSON: tuple[Callable[[Random], str], ...] = (
    *(_quotes, _deep, _json_number, _json_string, _many_keys, _same_keys, _json_type, _huge_run, _noise, _cut),
)
_YAML: tuple[Callable[[Random], str], ...] = (
    *(_yaml_value, _yaml_value, _yaml_key, _yaml_document, _yaml_nested_value, _yaml_aliases, _yaml_deep, _yaml_long),
    *(_quotes, _noise, _huge_run),
)
