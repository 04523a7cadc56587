"""Fingerprints and their differences."""

from protocol.determinism.fingerprint import differences, fingerprint


def test_equal_fingerprints_have_no_differences() -> None:
    assert differences(fingerprint(), fingerprint()) == []


def test_each_difference_is_one_line() -> None:
    ours, theirs = fingerprint() | {"numpy": "1", "torch": "2.5"}, fingerprint() | {"numpy": "2", "torch": "2.6"}
    assert differences(ours, theirs) == ["numpy: 1 against 2", "torch: 2.5 against 2.6"]


def test_a_process_without_torch_does_not_differ_from_one_with_it() -> None:
    ours = fingerprint() | {"torch": "2.5"}
    without = {key: value for key, value in fingerprint().items() if key != "torch"}
    for theirs in (without, without | {"torch": "none"}):
        assert differences(ours, theirs) == differences(theirs, ours) == []
