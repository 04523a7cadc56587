// A run's metrics as they come: sums and counts over windows of slots, joined two by two when there are too many.

const MOST = 600;

export class Windows {
  constructor() {
    this.clear();
  }

  /** As if nothing had come yet. */
  clear() {
    this.rows = [];
    this.size = 1; // windows in a row
  }

  /** One row of metrics.csv. A row that goes back takes back what came after it: the run was rolled back. */
  add(row) {
    while (this.rows.length && this.rows.at(-1).last >= row.first) this.rows.pop();
    const before = this.rows.at(-1);
    if (before && before.size < this.size && before.phase === row.phase) join(before, row);
    else this.rows.push({ ...row, size: 1 });
    if (this.rows.length > MOST) this.halve();
  }

  /** One metric: the slots that windows end at, and means. */
  series(name) {
    const means = this.rows.map((row) => (row[`${name}_count`] ? row[`${name}_sum`] / row[`${name}_count`] : null));
    return { x: this.rows.map((row) => row.last), y: means };
  }

  halve() {
    this.size *= 2;
    const joined = [];
    for (const row of this.rows) {
      const before = joined.at(-1);
      if (before && before.size < this.size && before.phase === row.phase) join(before, row, row.size);
      else joined.push(row);
    }
    this.rows = joined;
  }
}

function join(before, row, size = 1) {
  for (const key of Object.keys(row)) if (/_(sum|count)$/.test(key)) before[key] += row[key];
  before.last = row.last;
  before.size += size;
}

/** A node's own figures over slots, every second one dropped when there are too many. */
export class Scalars {
  constructor() {
    this.clear();
  }

  /** As if nothing had come yet. */
  clear() {
    this.byName = new Map(); // name -> node -> {x, y}
    this.heard = new Map(); // node -> the slot of its last word
  }

  /** One row of scalars.csv. */
  add({ slot, node, name, value }) {
    if (!this.byName.has(name)) this.byName.set(name, new Map());
    const nodes = this.byName.get(name);
    if (!nodes.has(node)) nodes.set(node, { x: [], y: [] });
    const series = nodes.get(node);
    while (series.x.length && series.x.at(-1) >= slot) {
      series.x.pop();
      series.y.pop();
    }
    series.x.push(slot);
    series.y.push(value);
    if (series.x.length > MOST) for (const key of ["x", "y"]) series[key] = series[key].filter((_, place) => place % 2);
    this.heard.set(node, slot);
  }
}
