// The schemas of a run's settings. Those of worlds and schemes come from the catalogue.

const SLOTS = { type: "integer", minimum: 0, unit: "slots" };
const PLACEMENTS =
  "in-process: all nodes in one process; processes: each node in its own; pool: on workers attached to this controller";

/** Phases that a new run proposes: a scheme that learns needs training slots, any other one has no use for them. */
export const LEARNING_PHASES = { warmup: 500, train: 4000, eval: 500 };
export const FIXED_PHASES = { warmup: 0, train: 0, eval: 1000 };

/** Fields by their paths in the configuration: the main ones, then the folded ones. */
export const MAIN = {
  "phases.warmup": { ...SLOTS, default: 0, label: "warmup", description: "before training starts" },
  "phases.train": { ...SLOTS, default: 0, label: "train", description: "in which a scheme that learns is trained" },
  "phases.eval": { ...SLOTS, default: 1000, label: "eval", description: "over which the results are averaged" },
  "phases.rounds": {
    type: "integer", minimum: 1, maximum: 1000, default: 1, label: "rounds", description: "of train and eval in turns",
  },
  seed: { type: "integer", minimum: 0, default: 1, description: "of all random numbers: positions, channels, traffic" },
  placement: { enum: ["processes", "in-process", "pool"], default: "processes", description: PLACEMENTS },
};
export const MORE = {
  episode_slots: { ...SLOTS, minimum: 1, optional: true, label: "episode", description: "between two resets" },
  train_delay_slots: {
    ...SLOTS, default: 0, label: "train delay", description: "from training until the new weights are sent",
  },
  replicas: { type: "integer", minimum: 1, maximum: 10000, default: 1, description: "independent copies of the world" },
  checkpoint_every: { ...SLOTS, default: 0, label: "checkpoint every", description: "0 for no checkpoints" },
};

/** Fields of the signalling model, for each link class. */
export const LINK_CLASSES = ["all", "sidelink", "uplink", "downlink", "backhaul"];
export const LINK = {
  delay_slots: { ...SLOTS, optional: true, label: "delay" },
  loss: { type: "number", minimum: 0, maximum: 1, optional: true, description: "share of notes that is lost" },
  bits_per_slot: { type: "integer", optional: true, label: "bits per slot", description: "an integer, or radio" },
};
