"""Socket options by which a TCP connection ends when the network or the other machine no longer answers.

The kernel asks and answers, not the process: a process that is stopped or busy keeps its connections. Only one that
leaves more data unread than its buffers hold for longer than the time limit loses them.
"""

import zmq

HANDSHAKE_TIMEOUT_S = 10.0  # a connection without ZeroMQ's greeting is in the handshake, too
ANSWER_TIMEOUT_S = 60.0  # for the other machine to acknowledge data, or a probe of an idle connection
_IDLE_S = 15
_PROBE_INTERVAL_S = 5


def end_dead_connections(socket: zmq.Socket[bytes]) -> None:
    """Call before bind or connect."""
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, _IDLE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, _PROBE_INTERVAL_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, int(ANSWER_TIMEOUT_S) // _PROBE_INTERVAL_S)
    # TCP_USER_TIMEOUT, which also ends a connection with data on the way: the kernel does not probe such a one, and
    # would send the data again for a quarter of an hour.
    socket.setsockopt(zmq.TCP_MAXRT, int(1000 * ANSWER_TIMEOUT_S))
    socket.setsockopt(zmq.HANDSHAKE_IVL, int(1000 * HANDSHAKE_TIMEOUT_S))
