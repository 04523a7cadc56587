"""What each key of a run's configuration does: its unit, and its effect, in Markdown for docs/configuration.md.

The models have the types, bounds and defaults. The effect of a world's or scheme's parameters is with its parameters.
"""

from typing import NamedTuple


class Meaning(NamedTuple):
    """The unit of a key's value, empty for none, and what the key does."""

    unit: str
    effect: str


MEANINGS = {
    "world": Meaning("", "name and parameters; `airtoll worlds NAME` lists the parameters"),
    "scheme": Meaning("", "name and parameters; `airtoll schemes NAME` lists them"),
    "seed": Meaning("", "positions, channels, traffic, exploration: everything random"),
    "replicas": Meaning(
        "",
        "independent copies of the world, stepped in the same messages; [the toll is that of "
        "one](books.md#the-air-book)",
    ),
    "slots": Meaning("slots", "short for `phases: {eval: ...}`"),
    "phases.warmup": Meaning("slots", "slots in which agents act at random"),
    "phases.train": Meaning("slots", "slots in which agents explore and the learner learns"),
    "phases.eval": Meaning(
        "slots", "slots in which agents use what they learned; reported metrics are of this phase, of its last round"
    ),
    "phases.rounds": Meaning(
        "", "how often train and eval come in turns, after one warmup ([below](#training-and-evaluation-in-turns))"
    ),
    "episode_slots": Meaning(
        "slots",
        "after how many slots episodes are cut off (truncated), if the world does not end them earlier; null: never",
    ),
    "train_delay_slots": Meaning(
        "slots", "slots between a history's arrival at the trainer and the weights learned from it"
    ),
    "placement": Meaning("", "`in-process`, `processes`, or `pool` ([the pool](pool.md))"),
    "signalling": Meaning("", "[the signalling model](signalling-model.md)"),
    "on_node_loss.action": Meaning("", "what the run does when an agent is lost ([checkpoints](checkpoints.md))"),
    "on_node_loss.trainer": Meaning("", "the same for the trainer; null: as `action`"),
    "on_node_loss.fallback": Meaning("", "acts for a lost agent: `hold`, `silent`, `random`; null: the card's"),
    "on_node_loss.lost_after_s": Meaning("s", "an agent that has not replied for so long is lost"),
    "on_node_loss.trainer_lost_after_s": Meaning("s", "the same for the trainer, which may be learning"),
    "on_node_loss.learner_lost_after_s": Meaning(
        "s", "the same for agents that learn by themselves, in slots of training"
    ),
    "on_node_loss.max_restarts": Meaning("", "restarts of each node, and rollbacks of the run"),
    "on_node_loss.pause_s": Meaning("s", "how long a run waits for a lost node under `pause`"),
    "on_channel_server_loss": Meaning("", "or `rollback`"),
    "clock.slot_ms": Meaning("ms", "wall time of a slot ([the clock](clock.md)); null: lockstep"),
    "checkpoint_every": Meaning("slots", "slots between two [checkpoints](checkpoints.md); 0: none"),
    "keep_checkpoints": Meaning("", "how many checkpoints are kept"),
    "record.trace": Meaning(
        "", "rows of the trace that are kept: `all`, those of `eval`, or `none` ([below](#what-is-kept))"
    ),
    "record.air_book_rows": Meaning(
        "rows", "how many rows of the air book are kept, the first ones; the toll counts all"
    ),
    "record.values": Meaning("", "full values in addition to the digests of the trace"),
    "record.frames_slots": Meaning("slots", "slots whose frames are kept, for `airtoll frames`"),
    "record.window_slots": Meaning("slots", "slots per row of `metrics.csv`"),
    "record.tensorboard": Meaning("", "TensorBoard event files, too (extra `tensorboard`)"),
    "baselines": Meaning(
        "",
        "schemes that meet the same channels; the first is the floor, the last the ceiling; with "
        "parameters as mappings, `{name: ..., ...}`",
    ),
    "untrained": Meaning(
        "",
        "lets a scheme that learns run without training slots, with its initial networks; otherwise "
        "such a run is rejected",
    ),
    "start.weights": Meaning(
        "",
        "weights of another run to start from: its id, its folder, or a safetensors file "
        "([below](#starting-from-weights))",
    ),
    "out": Meaning("", "the folder in which runs' folders are made"),
}
