// The charts of a run's toll: by kind over time, and in total by kind, node or link class.

import { Chart, phaseMarks, plain } from "./charts.js";
import { h } from "./dom.js";
import { bytes, integer, number, percent } from "./format.js";
import { series } from "./palette.js";
import { COUNTS, TollTable } from "./toll_table.js";

const MAX_BARS = 30;
const SUMMARISED = 5; // bars that a chart's description for screen readers names
const BAR_PX = 24;
const KINDS = ["neighbour", "csi", "decision", "feedback", "history", "weights", "ack", "control"]; // colours by index
const KEYS = { kind: "kind of note", node: "sender", link: "link class" };

export class Toll {
  constructor(phases, signal) {
    this.phases = phases;
    this.table = new TollTable();
    const options = Object.entries(KEYS).map(([key, text]) => h("option", { value: key }, text));
    this.key = h("select", { id: "toll-by", onchange: () => this.drawTotals() }, options);
    this.overTime = new Chart("Toll over time", signal);
    this.totals = new Chart("Toll in total", signal, h("label", { class: "inline" }, "by ", this.key));
  }

  /** Forget all rows. */
  clear() {
    this.table.clear();
  }

  /** One row of toll.csv. */
  add(row) {
    this.table.add(row);
  }

  /** Draw both charts, of a run that has done `slot` slots. */
  draw(slot) {
    this.drawOverTime(slot);
    this.drawTotals();
  }

  drawOverTime(slot) {
    const windows = this.table.windows.all;
    const kinds = KINDS.filter((kind) => kind in this.table.totals.kind);
    const width = ({ first, last }) => last - first + 1;
    const rate = (window, kind) => (window.bytes[kind] ?? 0) / width(window);
    const end = Math.max(slot, 1, (windows.at(-1)?.last ?? 0) + 1);
    const trace = (kind) => ({
      type: "bar",
      name: kind,
      x: windows.map(({ first, last }) => (first + last) / 2),
      y: windows.map((window) => rate(window, kind)),
      width: windows.map(width),
      marker: barStyle(KINDS.indexOf(kind)),
      hovertemplate: "%{y:.4g} bytes/slot",
    });
    this.overTime.draw({
      traces: () => kinds.map(trace),
      layout: {
        ...phaseMarks(this.phases, end),
        barmode: "stack",
        bargap: 0,
        showlegend: true,
        xaxis: { title: { text: "slot" }, range: [0, end] },
        yaxis: { title: { text: "bytes per slot" } },
      },
      summary: `Kinds of notes sent: ${kinds.join(", ")}.`,
      columns: [["slots", ""], ...kinds.map((kind) => [`${kind} [bytes/slot]`, "number"])],
      rows: windows.map((window) => [
        `${integer(window.first)} to ${integer(window.last)}`,
        ...kinds.map((kind) => number(rate(window, kind))),
      ]),
    });
  }

  drawTotals() {
    const key = this.key.value;
    const all = this.table.ranked(key);
    const allBits = all.reduce((sum, [, counts]) => sum + counts.payload_bits, 0);
    const share = (counts) => percent(counts.payload_bits, allBits);
    const drawn = all.slice(0, MAX_BARS).reverse(); // Plotly draws the first at the bottom
    const trace = {
      type: "bar",
      orientation: "h",
      y: drawn.map(([name]) => plain(name)),
      x: drawn.map(([, counts]) => counts.note_bytes),
      text: drawn.map(([, counts]) => bytes(counts.note_bytes)),
      textposition: "auto",
      customdata: drawn.map(([, counts]) => share(counts)),
      hovertemplate: "%{y}: %{x} bytes, %{customdata} of all bits<extra></extra>",
    };
    const more = all.length > MAX_BARS ? `, the largest ${MAX_BARS} of ${all.length}` : "";
    this.totals.draw({
      traces: () => [{ ...trace, marker: { color: series(0).colour } }],
      layout: {
        height: Math.max(180, 70 + BAR_PX * drawn.length),
        bargap: 0.35,
        showlegend: false,
        xaxis: { title: { text: `note bytes${more}` } },
        yaxis: { type: "category" },
      },
      summary: all.slice(0, SUMMARISED).map(([name, { note_bytes: size }]) => `${name} ${bytes(size)}`).join(", "),
      columns: [
        [KEYS[key], ""],
        ...COUNTS.map((name) => [name.replaceAll("_", " "), "number"]),
        ["share of bits", "number"],
      ],
      rows: all.map(([name, counts]) => [name, ...COUNTS.map((one) => integer(counts[one])), share(counts)]),
    });
  }
}

function barStyle(n) {
  const { colour, pattern } = series(n);
  const shape = { shape: pattern, fillmode: "overlay", solidity: 0.25, size: 6 };
  return { color: colour, pattern: shape, line: { width: 0 } };
}
