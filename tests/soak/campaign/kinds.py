"""The kinds of faults: each a function that injects one into a scene, with the runs at work meanwhile."""

from collections.abc import Callable
from typing import NamedTuple

from tests.soak.campaign import (
    clients,
    commands,
    database,
    folders,
    generated,
    limits,
    network,
    nodes,
    signals,
    storage,
    strangers,
    texts,
)
from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import Scene
from tests.soak.campaign.works import AT_WORK


class Kind(NamedTuple):
    """`inject` returns what it did, in words; LeftOutError if it cannot. `works`: the runs at work, of which two are
    drawn. `deaf`: whether requests may remain unanswered while the fault lasts. `every`: once in so many rounds."""

    inject: Callable[[Scene, Draw], str]
    works: tuple[str, ...] = AT_WORK
    deaf: bool = False
    every: int = 1


_HERE = ("processes", "learning", "impaired", "scheduling")

KINDS: dict[str, Kind] = {
    "signals": Kind(signals.signal_one, deaf=True),
    "all paused": Kind(signals.pause_all, works=("one process", "pooled", "paced"), deaf=True),
    "disk full": Kind(storage.disk_full),
    "read-only": Kind(storage.read_only),
    "clock": Kind(limits.clock_jump),
    "descriptors": Kind(limits.few_descriptors, deaf=True),
    "memory": Kind(limits.little_memory, deaf=True),
    "database": Kind(database.database),
    "workers' network": Kind(network.proxied_workers, works=("one process", "processes")),
    "nodes' network": Kind(network.proxied_nodes, works=("one process",)),
    "black hole": Kind(network.black_hole, works=("one process",), every=3),
    "lying node": Kind(nodes.lying_node, works=("one process", "paced")),
    "hostile names": Kind(nodes.hostile_workers, works=_HERE),
    "json": Kind(texts.json_torture),
    "yaml": Kind(texts.yaml_torture),
    "http": Kind(clients.http_torture),
    "half-sent heads": Kind(clients.half_sent_heads),
    "streams": Kind(clients.streams),
    "uploads": Kind(clients.uploads, works=("one process",)),
    "races": Kind(clients.races, works=("one process", "scheduling")),
    "generated requests": Kind(generated.generated_requests, works=("one process", "learning")),
    "idle strangers": Kind(strangers.idle_connections),
    "noise": Kind(strangers.foreign_bytes),
    "foreign peers": Kind(strangers.foreign_peers),
    "folders": Kind(folders.tampering),
    "reads and writes": Kind(folders.reads_and_writes, works=("one process",)),
    "commands": Kind(commands.commands, works=("one process",)),
}
