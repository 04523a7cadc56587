"""The house stays one that a stranger can read: sizes have bounds, names are the field's."""

from tests import house


def test_no_class_and_no_file_is_too_long() -> None:
    assert [place for place in house.classes() if place.lines > house.MAX_CLASS_LINES] == []
    assert [place for place in house.files() if place.lines > house.MAX_FILE_LINES] == []


def test_no_identifier_is_a_private_word() -> None:
    assert house.private_words() == []
