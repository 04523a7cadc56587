// A run's toll: what its nodes told each other, over time by kind, and in all by kind, node or class of links.

import { ask } from "./api.js";
import { Chart, plain } from "./charts.js";
import { h } from "./element.js";
import { bytes, count, figure } from "./numbers.js";
import { series } from "./palette.js";

const WINDOWS = 60; // of the slots that are done
const MOST_WINDOWS = 1000; // of all that are planned
const MOST_BARS = 30;
const KINDS = ["neighbour", "csi", "decision", "feedback", "history", "weights", "ack", "control"]; // each in its colour
const BY = { kind: "kind of note", node: "node", link: "class of links" };

export class Toll {
  constructor(run, signal) {
    this.path = `/runs/${encodeURIComponent(run.id)}/toll`;
    this.signal = signal;
    this.choice = h("select", { id: "toll-by", onchange: () => this.refresh(this.slot).catch(() => {}) }, Object.entries(BY).map(([by, text]) => h("option", { value: by }, text)));
    this.time = new Chart("Toll over time", signal);
    this.bars = new Chart("Toll in all", signal, h("label", { class: "inline" }, "by ", this.choice));
    this.slot = run.slot;
    this.planned = run.slots;
  }

  /** Ask for what has been told by now, in `slot`, which may be the last. */
  async refresh(slot, isLast = this.isLast) {
    this.slot = slot;
    this.isLast = isLast;
    const by = this.choice.value;
    const [time, all] = await Promise.all([this.ask("kind", Math.min(MOST_WINDOWS, Math.ceil((WINDOWS * this.planned) / Math.max(1, slot)))), this.ask(by, 1)]);
    this.overTime(time.windows);
    if (by === this.choice.value) this.inAll(all.windows[0]?.tolls ?? {}, by);
  }

  ask(by, windows) {
    return ask(this.path, { query: { by, windows }, signal: this.signal });
  }

  overTime(windows) {
    const done = Math.max(this.slot, 1);
    const whole = windows.filter(({ last }) => this.isLast || last < done); // of the others not all is known yet
    const shown = whole.length ? whole : windows.slice(0, 1);
    const spans = shown.map(({ first, last, tolls }) => ({ first, last: Math.max(first, Math.min(last, done - 1)), tolls }));
    const kinds = KINDS.filter((kind) => spans.some(({ tolls }) => kind in tolls));
    const width = ({ first, last }) => last - first + 1;
    const rate = (span, kind) => (span.tolls[kind]?.note_bytes ?? 0) / width(span);
    const trace = (kind) => ({
      type: "bar",
      name: kind,
      x: spans.map((span) => (span.first + span.last) / 2),
      y: spans.map((span) => rate(span, kind)),
      width: spans.map(width),
      marker: bar(KINDS.indexOf(kind)),
      hovertemplate: "%{y:.4g} bytes/slot",
    });
    this.time.draw({
      traces: () => kinds.map(trace),
      layout: { barmode: "stack", bargap: 0, showlegend: true, xaxis: { title: { text: "slot" }, range: [0, done] }, yaxis: { title: { text: "bytes per slot" } } },
      summary: kinds.length ? `Kinds told: ${kinds.join(", ")}.` : "",
      columns: [["slots", ""], ...kinds.map((kind) => [`${kind} [bytes/slot]`, "number"])],
      rows: spans.map((span) => [`${count(span.first)} to ${count(span.last)}`, ...kinds.map((kind) => figure(rate(span, kind)))]),
    });
  }

  inAll(tolls, by) {
    const all = Object.entries(tolls).sort(([, a], [, b]) => b.note_bytes - a.note_bytes);
    const shown = all.slice(0, MOST_BARS).reverse();
    const trace = {
      type: "bar",
      orientation: "h",
      y: shown.map(([name]) => plain(name)),
      x: shown.map(([, toll]) => toll.note_bytes),
      text: shown.map(([, toll]) => bytes(toll.note_bytes)),
      textposition: "auto",
      hovertemplate: "%{y}: %{x} bytes",
    };
    const more = all.length > MOST_BARS ? `, the largest ${MOST_BARS} of ${all.length}` : "";
    this.bars.draw({
      traces: () => [{ ...trace, marker: { color: series(0).colour } }],
      layout: { height: Math.max(180, 70 + 24 * shown.length), bargap: 0.35, showlegend: false, xaxis: { title: { text: `note bytes${more}` } }, yaxis: { type: "category" } },
      summary: all.slice(0, 5).map(([name, toll]) => `${name} ${bytes(toll.note_bytes)}`).join(", "),
      columns: [[BY[by], ""], ["notes", "number"], ["payload bits", "number"], ["note bytes", "number"], ["copies", "number"], ["copy bytes", "number"]],
      rows: all.map(([name, t]) => [name, ...[t.notes, t.payload_bits, t.note_bytes, t.copies, t.copy_bytes].map(count)]),
    });
  }
}

function bar(n) {
  const { colour, pattern } = series(n);
  return { color: colour, pattern: { shape: pattern, fillmode: "overlay", solidity: 0.25, size: 6 }, line: { width: 0 } };
}
