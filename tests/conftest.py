"""Before any test imports numpy: one thread for every numerical library, as in every process of a run."""

from protocol import threads

threads.pin()

from hypothesis import settings  # noqa: E402

settings.register_profile("house", deadline=None)  # the first example of a kind loads what it needs
settings.load_profile("house")
