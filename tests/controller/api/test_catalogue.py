"""What is installed, over REST."""

from controller.api.routes.catalogue import all_schemes, all_studies
from controller.config.catalogue import offline_studies, schemes


def test_schemes_show_what_their_learners_need() -> None:
    needs = {scheme.name: scheme.needs for scheme in all_schemes()}
    assert needs == {name: list(scheme.needs) for name, scheme in schemes().items()}
    assert (needs["li2020/dqn"], needs["li2020/q_learning"]) == (["torch"], [])


def test_studies_without_slots_are_listed() -> None:
    assert [study.name for study in all_studies()] == list(offline_studies())
    [study] = [study for study in all_studies() if study.name == "offline/assignment"]
    assert study.numbers["gap_percent"] == "%"
    assert study.labels == {"solver": ["greedy", "hungarian", "branch_and_bound"]}
    assert "users" in study.parameters["properties"]
