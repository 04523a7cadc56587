"""What a controller allows unless it is told otherwise."""

LONGEST_QUEUE = 1000  # runs that wait
MOST_READERS = 256  # of events
PATIENCE_S = 30.0  # for a request to come in, and for something of its answer to be taken
GRACE_S = 30.0  # for a stopped run's keeper, to hear it
