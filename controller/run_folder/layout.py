"""The files of a run's folder: everything that a run records, in MessagePack, JSON and CSV.

config.yaml        the configuration with every default; `airtoll run config.yaml` repeats the run
meta.json          what is known of the run without its world: names, units, versions, state; controller.run_folder.meta
metrics.csv        sums and counts of the world's metrics per window of slots
distributions.csv  how often each value occurred, per phase: controller.run_folder.distributions
toll.csv           signalling per window of slots, phase, node, kind of note and link class: controller.run_folder.toll
scalars.csv        what nodes report of themselves: losses, updates, policy version
events.jsonl       losses, rejoins, warnings, restarts
trace.bin          digests, protocol.accounting.trace.ROW        values.msgpack   full values, if they are recorded
air_book.msgpack   one row per transmission attempt   wire_book.json   one account per connection
frames.msgpack     the first slots' frames            summary.json     the results on one page
log.txt            the events as a person reads them
map.json           the world's drawing of the last slot, replaced as a whole
tensorboard/       metrics and scalars as TensorBoard event files, if they are asked for
checkpoints/       what the run can be resumed from: controller.run_folder.checkpoints
weights/           weights of nodes, sent to them or learnt there, and uploaded ones: controller.run_folder.weights
start.safetensors  the weights that the run starts from, if it does: controller.config.start_weights
baselines/NAME/    the folders of the runs to compare with
"""

CONFIG = "config.yaml"
META = "meta.json"
METRICS = "metrics.csv"
DISTRIBUTIONS = "distributions.csv"
TOLL = "toll.csv"
SCALARS = "scalars.csv"
SCALAR_HEADER = "slot,node,name,value"
EVENTS = "events.jsonl"
TRACE = "trace.bin"
VALUES = "values.msgpack"
AIR_BOOK = "air_book.msgpack"
FRAMES = "frames.msgpack"
WIRE_BOOK = "wire_book.json"
SUMMARY = "summary.json"
START = "start.safetensors"
LOG = "log.txt"
MAP = "map.json"
TENSORBOARD = "tensorboard"
BASELINES = "baselines"

# Appended to while the run is running; a rollback truncates them to the lengths that the checkpoint contains.
GROWING = (TRACE, VALUES, AIR_BOOK, FRAMES, METRICS, DISTRIBUTIONS, TOLL, SCALARS, EVENTS)
# Written at the end, or replaced as a whole; a rollback deletes them.
REPLACED = (SUMMARY, WIRE_BOOK, MAP)
