"""What a controller allows unless it is told otherwise."""

MAX_QUEUED = 1000  # runs that wait
MAX_READERS = 256  # of events
REQUEST_TIMEOUT_S = 30.0  # for a request to come in, and for something of its answer to be taken
STOP_TIMEOUT_S = 30.0  # for a stopped run's run process, to hear it
