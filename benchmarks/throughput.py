"""Node-turns per second of a run in processes, as a ratio to two bounds measured in the same session.

    echo      a bare ZeroMQ echo between as many processes with the same frame sizes
    straight  that echo with the same inference and physics in straight-line code; the ratio is the framework's overhead

Policy: the 40-512-128-10 actor in li2020's cell; books and digest trace are on. Median of 5 pairs.

    python -m benchmarks.throughput [agents ...]
"""

from protocol.determinism import threads

threads.pin()

import multiprocessing  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import numpy as np  # noqa: E402
import zmq  # noqa: E402

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay  # noqa: E402
from controller.execution.processes import run_processes  # noqa: E402
from protocol.determinism.rng import CounterRng  # noqa: E402
from protocol.messages.codec import encode  # noqa: E402
from protocol.messages.node import Reply, Turn  # noqa: E402
from protocol.messages.plan import LossPlan, PhasePlan, RecordPlan, RunPlan  # noqa: E402
from protocol.messages.telemetry import Telemetry  # noqa: E402
from schemes.contract import NoParams  # noqa: E402
from schemes.li2020.untrained_actor import HIDDEN, choreography  # noqa: E402
from schemes.parts.numpy_nets import Mlp, draw_mlp  # noqa: E402

PAIRS = 5
NODE_TURNS = 30_000
AGENTS = {3: (None, None), 20: (0.35, 0.8), 50: (0.3, 0.8)}  # the minimum ratios to echo and to straight
BYE = b"bye"


def airtoll_run(agents: int, slots: int) -> float:
    """Node-turns per second of a run."""
    plan = RunPlan(
        run_id="throughput",
        nodes=tuple(f"pair-{agent}" for agent in range(agents)),
        seed=1,
        replicas=1,
        world="d2d_underlay",
        world_params={"pairs": agents},
        scheme="li2020/untrained_actor",
        scheme_params={},
        choreography=choreography(NoParams()),
        phases=(PhasePlan("eval", slots),),
        episode_slots=None,
        train_delay_slots=0,
        loss=LossPlan("fail", "silent", 10.0, 600.0),
        record=RecordPlan(values=False, frames_slots=0, window_slots=100),
    )
    ended = run_processes(plan, _ignore)
    if ended.state != "SUCCEEDED":
        raise RuntimeError(ended.reason)
    return agents * slots / ended.wall_s


def echo(agents: int, slots: int) -> float:
    """Node-turns per second of a bare exchange of frames of the same sizes."""
    turn, reply = _frame_sizes()
    frame = bytes(turn)

    def play(router: zmq.Socket[bytes], peers: list[bytes]) -> None:
        for _ in range(slots):
            for peer in peers:
                router.send(peer, zmq.SNDMORE)
                router.send(frame)
            for _ in peers:
                router.recv()
                router.recv()

    return agents * slots / _timed(agents, _echo_node, (reply,), play)


def straight(agents: int, slots: int) -> float:
    """The same with physics at the server and inference at the nodes, in straight-line code."""
    turn, reply = _frame_sizes()
    world = WORLD.build(D2DUnderlay(pairs=agents), seed=1, replicas=1)

    def play(router: zmq.Socket[bytes], peers: list[bytes]) -> None:
        state = world.reset()
        dtype, index = world.actions[0].dtype, {peer: i for i, peer in enumerate(peers)}
        actions = [world.silent(node) for node in range(agents)]
        for slot in range(slots):
            state = world.begin(state, slot)
            for peer, records in zip(peers, world.measure(state, "observation"), strict=True):
                router.send(peer, zmq.SNDMORE)
                router.send(records.tobytes().ljust(turn))
            for _ in peers:
                node = index[router.recv()]
                actions[node] = np.frombuffer(router.recv()[:2], dtype)
            state, _outcome = world.transmit(state, actions)

    return agents * slots / _timed(agents, _acting_node, (reply,), play)


def _ignore(_telemetry: Telemetry) -> None:
    pass


def _frame_sizes() -> tuple[int, int]:
    """Bytes of a Turn and of a Reply of the run in `airtoll_run`."""
    world = WORLD.build(D2DUnderlay(), seed=1, replicas=1)
    measurement = world.measure(world.reset(), "observation")[0].tobytes()
    turn = Turn(1000, 0, 0, 2, b"", measurement, [])
    return len(encode(turn)), len(encode(Reply(1000, 0, world.silent(0).tobytes(), [])))


def _timed(
    agents: int,
    node: Callable[..., None],
    arguments: tuple[int, ...],
    play: Callable[[zmq.Socket[bytes], list[bytes]], None],
) -> float:
    """Seconds that `play` takes with so many nodes."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    endpoint = f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}"
    forkserver = multiprocessing.get_context("forkserver")
    nodes = [forkserver.Process(target=node, args=(endpoint, index, *arguments)) for index in range(agents)]
    for process in nodes:
        process.start()
    peers = [router.recv_multipart()[0] for _ in nodes]
    began = time.perf_counter()
    play(router, peers)
    seconds = time.perf_counter() - began
    for peer in peers:
        router.send_multipart([peer, BYE])
    for process in nodes:
        process.join()
    router.close()
    context.term()
    return seconds


def _echo_node(endpoint: str, _index: int, reply: int) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(endpoint)
        socket.send(b"hello")
        frame = bytes(reply)
        while socket.recv() != BYE:
            socket.send(frame)


def _acting_node(endpoint: str, index: int, reply: int) -> None:
    space = WORLD.build(D2DUnderlay(), seed=1, replicas=1).views["observation"][0]
    net = Mlp(draw_mlp(CounterRng(1, "actor", index).at(0), (40, *HIDDEN, 10)))
    rbs = np.arange(10)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(endpoint)
        socket.send(b"hello")
        while (frame := socket.recv()) != BYE:
            seen = np.frombuffer(frame[: space.dtype.itemsize], space.dtype)
            decibels = [seen[name] * np.float32(0.1) for name in ("own_gain_db", "bs_gain_db", "interference_dbm")]
            one_hot = (seen["last_rb"][:, None] == rbs).astype(np.float32)
            rb = np.argmax(net(np.concatenate([*decibels, one_hot], axis=1)), axis=1).astype("<i2")
            socket.send(rb.tobytes().ljust(reply))


def main() -> int:
    """Print the ratios; 1 if one of them is under its bound."""
    multiprocessing.set_forkserver_preload(["controller.execution.preload", "benchmarks.throughput"])
    failed = False
    for agents in [int(a) for a in sys.argv[1:]] or AGENTS:
        slots = NODE_TURNS // agents
        rates = [(airtoll_run(agents, slots), echo(agents, slots), straight(agents, slots)) for _ in range(PAIRS)]
        medians = [statistics.median(column) for column in zip(*rates, strict=True)]
        to_echo = statistics.median(run_rate / echo_rate for run_rate, echo_rate, _ in rates)
        to_straight = statistics.median(run_rate / straight_rate for run_rate, _, straight_rate in rates)
        min_echo, min_straight = AGENTS.get(agents, (None, None))
        failed |= to_echo < (min_echo or 0) or to_straight < (min_straight or 0)
        run, bare, lean = (f"{median:,.0f}" for median in medians)
        print(f"{agents} agents, node-turns per second: run {run}, echo {bare}, straight {lean}")
        print(f"  run / echo     {to_echo:.2f}  (at least {min_echo or '-'}, aim 0.5)")
        print(f"  run / straight {to_straight:.2f}  (at least {min_straight or '-'})", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
