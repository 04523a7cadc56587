"""Limits and intervals of the service. The first four are the defaults of `airtoll serve`'s options."""

MAX_QUEUED = 1000  # runs that wait
MAX_READERS = 256  # open event streams
REQUEST_TIMEOUT_S = 30.0  # for a request to arrive, and for a client to take more of its response
STOP_TIMEOUT_S = 30.0  # for a run process to confirm that it stops its run; then it is killed

END_TIMEOUT_FACTOR = (
    20  # times the stop timeout: a run process that has confirmed also writes the summary of the whole run
)
CONFIRM_TIMEOUT_S = 5.0  # for a run process to pause or resume: a slot with training takes seconds
CONFIRM_POLL_S = 0.05
STORE_TIMEOUT_S = 5.0  # for the database to answer one request
STORE_RETRY_S = 1.0  # while the database does not answer
MIN_TASK_BACKOFF_S, MAX_TASK_BACKOFF_S = 1.0, 30.0  # before a background task that failed begins again
PROBE_EVERY_S = 1.0  # whether the store and the data folder can be written
STATUS_POLL_S = 0.25  # of run processes' status files
LEASE_POLL_S = 0.1  # of the pool's socket
EVENTS_POLL_S = 0.5  # of a run's files, while its event stream has readers
PING_INTERVAL_S = 15.0  # of a silent event stream: proxies close idle connections
MAX_UNREAD_EVENTS = 20  # of one reader; then its stream ends, and it may continue from its last event
WEIGHTS_TIMEOUT_S = 30.0  # for a run to report its weights: a process that loads torch answers late
WEIGHTS_POLL_S = 0.1
MAX_WEIGHTS_BYTES = 16 * 2**20
MAX_WINDOWS = 1000  # of one answer's metrics or toll
