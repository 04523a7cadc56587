// A run's toll as it is streamed: totals by kind, node and link class, and note bytes by kind over time.

import { Windows } from "./windows.js";

const MAX_WINDOWS = 80;
const KEYS = ["kind", "node", "link"];
export const COUNTS = ["notes", "payload_bits", "note_bytes", "copies", "copy_bytes"];

/** The rows of toll.csv, which add: a note that is counted late has a further row with the keys of its window. */
export class TollTable {
  constructor() {
    this.windows = new Windows(MAX_WINDOWS, addKinds);
    this.clear();
  }

  /** Forget all rows. */
  clear() {
    this.windows.clear();
    this.totals = Object.fromEntries(KEYS.map((key) => [key, {}])); // key -> name -> counts
  }

  /** One row of toll.csv. */
  add(row) {
    for (const key of KEYS) addCounts((this.totals[key][row[key]] ??= zero()), row);
    const { phase, first, last, kind, note_bytes: noteBytes } = row;
    this.windows.add({ phase, first, last, bytes: { [kind]: noteBytes } });
  }

  /** Names and counts, the most bytes first. */
  ranked(key) {
    return Object.entries(this.totals[key]).sort(([, a], [, b]) => b.note_bytes - a.note_bytes);
  }
}

function zero() {
  return Object.fromEntries(COUNTS.map((name) => [name, 0]));
}

function addCounts(into, row) {
  for (const name of COUNTS) into[name] += row[name];
}

function addKinds(into, from) {
  for (const [kind, bytes] of Object.entries(from.bytes)) into.bytes[kind] = (into.bytes[kind] ?? 0) + bytes;
}
