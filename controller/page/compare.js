// Runs side by side: performance against toll, in bytes per slot and node.

import { request } from "./api.js";
import { Chart, plain } from "./charts.js";
import { breakable, fill, h, setText } from "./dom.js";
import { bytes, metricLabel, number } from "./format.js";
import { failure, loading, notice } from "./notices.js";
import { series } from "./palette.js";
import { poll } from "./polling.js";
import { badge, hasEnded } from "./states.js";
import { table } from "./table.js";

const EVERY_MS = 3000;
const RATE = "bytes per slot and node";
const SAME_TRACE = "These runs have the same trace, bit for bit.";
const OTHER_CHANNELS =
  "These runs had different channels, because their worlds, seeds or episodes differ. " +
  "Their metrics may differ for this reason alone.";
const OTHER_WORLDS =
  "These runs had different channels, because they are in different worlds. " +
  "Metrics of the same name may differ in meaning.";

/** The view; `query` has the ids of the `runs`, and the `metric`. */
export function show(main, query, signal) {
  const ids = (query.get("runs") ?? "").split(",").filter(Boolean);
  const content = h("div", {}, loading("the comparison"));
  main.append(h("h1", {}, "Compare"), content);
  if (ids.length < 2) {
    fill(content, notice("A comparison needs two runs or more. ", h("a", { href: "#/" }, "Choose runs in the list")));
    return;
  }
  const view = new Comparison(ids, query, signal);
  const task = async () => {
    if (view.isFinal) return;
    await view.refresh();
    if (!content.contains(view.element)) fill(content, view.element);
  };
  poll(EVERY_MS, signal, task, (error) => {
    if (!content.contains(view.element)) fill(content, failure(error));
    return error.status >= 400 && error.status < 500 ? "stop" : "retry";
  });
}

class Comparison {
  constructor(ids, query, signal) {
    this.ids = ids;
    this.query = query;
    this.signal = signal;
    this.agents = new Map(); // run id -> number of agents
    this.metric = h("select", { id: "metric", onchange: () => this.chooseMetric() });
    const choice = h("label", { class: "inline" }, "metric ", this.metric);
    this.chart = new Chart("Performance against toll", signal, choice);
    this.channels = h("p", { class: "notice", hidden: true });
    this.table = h("div", {});
    this.element = h(
      "div",
      { class: "cards-grid compare" },
      this.channels,
      h("div", { class: "column" }, this.chart.element),
      h("section", { class: "card" }, h("h2", {}, "Runs"), this.table),
    );
  }

  async refresh() {
    this.comparison = await request("/compare", { query: { runs: this.ids.join(",") }, signal: this.signal });
    const unknown = this.ids.filter((id) => !this.agents.has(id));
    await Promise.all(unknown.map((id) => this.countAgents(id)));
    this.isFinal = this.comparison.runs.every((run) => hasEnded(run.state));
    this.offerMetrics(Object.keys(this.comparison.metrics));
    this.showChannels();
    this.draw();
  }

  async countAgents(id) {
    const { nodes } = await request("/nodes", { query: { run: id }, signal: this.signal });
    this.agents.set(id, nodes.filter((node) => node.role === "agent").length);
  }

  offerMetrics(names) {
    if (this.metric.options.length === names.length) return;
    const chosen = this.query.get("metric") ?? names.find((name) => name.startsWith("reward")) ?? names[0];
    fill(this.metric, names.map((name) => h("option", { value: name }, metricLabel(name))));
    if (names.includes(chosen)) this.metric.value = chosen;
  }

  chooseMetric() {
    this.query.set("metric", this.metric.value);
    history.replaceState(null, "", `#/compare?${this.query}`);
    this.draw();
  }

  showChannels() {
    const { runs, same_channels: sameChannels, same_trace: sameTrace } = this.comparison;
    const worlds = new Set(runs.map((run) => run.world));
    this.channels.hidden = sameChannels && !sameTrace;
    setText(this.channels, sameTrace ? SAME_TRACE : worlds.size > 1 ? OTHER_WORLDS : OTHER_CHANNELS);
    this.channels.classList.toggle("warn", !sameChannels);
  }

  draw() {
    const name = this.metric.value;
    const { unit, values } = this.comparison.metrics[name];
    const runs = this.comparison.runs.map((run, n) => ({ run, n, value: values[run.id], rate: this.rate(run) }));
    const finished = runs.filter(({ value }) => value !== null);
    const described = ({ run, value, rate }) => `${run.scheme}: ${number(value)} at ${number(rate)} bytes`;
    const metric = `${metricLabel(name)} [${unit}]`;
    this.chart.draw({
      traces: () => finished.map(pointTrace),
      layout: {
        height: 400,
        showlegend: true,
        legend: { orientation: "h", y: -0.22, yanchor: "top" },
        xaxis: { title: { text: RATE } },
        yaxis: { title: { text: plain(metric) } },
      },
      summary: finished.map(described).join("; "),
      columns: [["run", ""], [metric, "number"], [RATE, "number"]],
      rows: finished.map(({ run, value, rate }) => [run.id, number(value), number(rate)]),
    });
    fill(this.table, this.runTable(runs, metric));
  }

  /** Note bytes, each note counted once, per slot and agent. */
  rate(run) {
    const total = Object.values(this.comparison.toll[run.id] ?? {}).reduce((sum, toll) => sum + toll.note_bytes, 0);
    return total / Math.max(1, run.slot) / Math.max(1, this.agents.get(run.id));
  }

  runTable(runs, metric) {
    const columns = [
      ["run", ""], ["scheme", ""], ["state", ""], [metric, "number"], [RATE, "number"], ["toll by kind", ""],
    ];
    const rows = runs.map(({ run, value, rate }) => [
      h("a", { href: `#/runs/${encodeURIComponent(run.id)}` }, breakable(run.id)),
      h("span", {}, breakable(run.scheme)),
      badge(run.state),
      value === null && !hasEnded(run.state) ? "when it ends" : number(value),
      number(rate),
      this.tollByKind(run),
    ]);
    return table("Runs in this comparison", columns, rows, { hideCaption: true, cards: true });
  }

  tollByKind({ id }) {
    const kinds = Object.entries(this.comparison.toll[id] ?? {});
    return kinds.map(([kind, toll]) => `${kind} ${bytes(toll.note_bytes)}`).join(", ") || "no notes sent";
  }
}

function pointTrace({ run, n, value, rate }) {
  const { colour, marker } = series(n);
  return {
    type: "scatter",
    mode: "markers",
    cliponaxis: false,
    name: plain(`${run.scheme}, seed ${run.seed}`),
    x: [rate],
    y: [value],
    marker: { color: colour, symbol: marker, size: 13, line: { width: 1 } },
    hovertemplate: `${plain(run.id)}<br>%{x:.4g} bytes: %{y:.4g}`,
  };
}
