// A run's metrics and its nodes' scalars as they are streamed.

import { Windows } from "./windows.js";

const MAX_WINDOWS = 600;
const MAX_POINTS = 600; // of a node's scalar
const ADDED = /_(sum|count)$/;

/** The rows of metrics.csv: sums and counts over windows of slots. */
export class Metrics {
  constructor() {
    this.windows = new Windows(MAX_WINDOWS, addSums);
  }

  /** Forget all rows. */
  clear() {
    this.windows.clear();
  }

  /** One row of metrics.csv. */
  add(row) {
    this.windows.add(row);
  }

  /** Whether a row repeats slots that are here already: the run was rolled back to a checkpoint before it. */
  repeats(row) {
    return this.windows.last !== undefined && row.first <= this.windows.last.last;
  }

  /** One metric: the slots at which windows end, and the means over the windows; null where nothing was counted. */
  series(name) {
    const { all } = this.windows;
    const mean = (window) => (window[`${name}_count`] ? window[`${name}_sum`] / window[`${name}_count`] : null);
    return { x: all.map(({ last }) => last), y: all.map(mean) };
  }
}

function addSums(into, from) {
  for (const key of Object.keys(from)) if (ADDED.test(key)) into[key] += from[key];
}

/** The rows of scalars.csv: what nodes report about themselves. Long series lose every other point. */
export class Scalars {
  constructor() {
    this.clear();
  }

  /** Forget all rows. */
  clear() {
    this.byName = new Map(); // name -> node -> {x, y}
    this.lastReport = new Map(); // node -> slot
  }

  /** One row of scalars.csv. */
  add({ slot, node, name, value }) {
    const nodes = entry(this.byName, name, () => new Map());
    const series = entry(nodes, node, () => ({ x: [], y: [] }));
    series.x.push(slot);
    series.y.push(value);
    if (series.x.length > MAX_POINTS) for (const key of ["x", "y"]) series[key] = series[key].filter((_, n) => n % 2);
    this.lastReport.set(node, slot);
  }
}

function entry(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}
