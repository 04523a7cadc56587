"""What a newcomer gets wrong: each mistake is one clear message with the fix, and exit code 2."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from airtoll.cli.commands import app

RUN = "world: {name: d2d_underlay, pairs: 3, rbs: 2}\nscheme: li2020/random\nslots: 4\nplacement: in-process\n"
STUDY = "run: {world: d2d_underlay, slots: 4}\ngrid: {scheme: [li2020/random]}\n"

MISTAKES = {
    "a study's file to run": ("run", STUDY, [], "is a study's file, as it has run: airtoll study "),
    "a study's file to submit": ("submit", STUDY, [], "is a study's file, as it has run: airtoll study "),
    "a run's file to study": ("study", RUN, [], "is a run's file, as it has world: airtoll run "),
    "a short scheme": ("run", RUN, ["scheme=maac"], "did you mean 'li2020/maac'?"),
    "a short scheme of two papers": ("run", RUN, ["scheme=random"], "did you mean 'li2020/random' or 'ours/random'"),
    "a misspelt short scheme": ("run", RUN, ["scheme=maca"], "did you mean 'li2020/maac'?"),
    "a misspelt world": ("run", RUN, ["world=d2d_underley"], "did you mean 'd2d_underlay'?"),
    "a typo in a nested key": ("run", RUN, ["on_node_loss.max_restart=1"], "did you mean 'max_restarts'?"),
    "a typo in a parameter": ("run", RUN, ["world.pair=1"], "did you mean 'pairs'?"),
    "unbalanced YAML": ("run", "world: {name: d2d_underlay\nscheme: x\n", [], "correct the YAML there"),
    "a wrong phase": ("run", RUN.replace("slots: 4", "phases: {evaluation: 4}"), [], "did you mean 'eval'?"),
    "a negative number": ("run", RUN, ["slots=-5"], "slots: -5 is not allowed: must be at least 1"),
    "text for a number": ("run", RUN, ["slots=many"], "slots: 'many' is not allowed: must be a whole number"),
    "an unknown baseline": ("run", RUN, ["baselines=[li2020/randm]"], "did you mean 'li2020/random'?"),
    "a scheme of another world": (
        "run",
        RUN,
        ["scheme=zhang2025/llq"],
        "it runs in conflict_graph, not in d2d_underlay",
    ),
    "no training": ("run", RUN, ["scheme=li2020/q_learning"], "learns, but no slots are given to train it"),
    "slots and phases": ("run", RUN + "phases: {eval: 3}\n", [], "keep one of them"),
    "an empty file": ("run", "", [], "world.name: is missing"),
    "the pool on this machine": ("run", RUN, ["placement=pool"], "airtoll submit"),
    "weights that are nowhere": ("run", RUN, ["start.weights=none"], "no such file or folder, and no run of this id"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_message_with_its_fix(tmp_path: Path, name: str) -> None:
    command, text, sets, fix = MISTAKES[name]
    (tmp_path / "mine.yaml").write_text(text)
    words = [command, str(tmp_path / "mine.yaml"), *(word for one in sets for word in ("--set", one))]
    result = CliRunner().invoke(app, words, env={"AIRTOLL_OUT": str(tmp_path / "runs")})
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert fix in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml: No such file or directory; give the path of a YAML file"),
        (["resume", "."], "is not a run's folder: no config.yaml"),
        (["show", "."], "is not a run's folder: no config.yaml"),
        (["worlds", "d2d"], "no world named 'd2d'; known: "),
        (["schemes", "maac"], "did you mean 'li2020/maac'?"),
        (["serve", "--import", "."], "--import .: no run's folder there"),
    ],
)
def test_a_wrong_argument_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], fix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*words, "--port", "0"] if words[0] == "serve" else words)
    assert result.exit_code == 2, result.output
    assert fix in result.stderr
