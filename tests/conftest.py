"""Before any test imports numpy: one thread for every numerical library, as in every process of a run."""

from protocol import threads

threads.pin()
