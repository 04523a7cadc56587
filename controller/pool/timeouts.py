"""How long the parts of the pool wait for each other, in seconds."""

SETTLE_S = 1.5  # after the service starts: workers reconnect and report their leases before any capacity is leased
FIRST_BACKOFF_S = 5.0  # before a worker that did not reach a run process gets another lease; doubles each time
MAX_WORKER_BACKOFF_S = 300.0
LEASE_TIMEOUT_S = 5.0  # for a worker to report a lease that the service gave it
WORKER_HEARTBEAT_TIMEOUT_S = 5.0  # at the service: after five missing heartbeats a worker is gone
LEASED_WORKER_TIMEOUT_S = 10.0  # at the run process: longer, because a busy worker costs the run a node
RUN_PROCESS_RECONNECT_TIMEOUT_S = 3.0  # at the worker, after its connection broke: what it runs goes on meanwhile
LEASED_WORKER_RECONNECT_TIMEOUT_S = 5.0  # at the run process: longer, or two processes would run one node
RUN_PROCESS_CONNECT_TIMEOUT_S = 10.0  # at the worker, before the first message of its run process
RUN_PROCESS_TIMEOUT_S = 30.0  # at the worker: a run process may be busy with a checkpoint
