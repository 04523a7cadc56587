// Runs side by side: what they reach against what it costs, in bytes per slot and node.

import { ask } from "./api.js";
import { Chart, plain } from "./charts.js";
import { breakable, fill, h, tell } from "./element.js";
import { failure, loading, nothing } from "./notices.js";
import { bytes, figure, words } from "./numbers.js";
import { series } from "./palette.js";
import { repeat } from "./patience.js";
import { badge, hasEnded } from "./states.js";
import { table } from "./table.js";

const EVERY_MS = 3000;
const OTHER_CHANNELS = "These runs did not meet the same channels: their worlds, seeds or episodes differ, so figures may differ for that alone.";
const OTHER_WORLDS = "These runs did not meet the same channels, but live in different worlds: a metric of the same name need not mean the same.";

/** The view; `query` has the ids of the `runs`, and the `metric`. */
export function show(main, query, signal) {
  const ids = (query.get("runs") ?? "").split(",").filter(Boolean);
  const place = h("div", {}, loading("the comparison"));
  main.append(h("h1", {}, "Compare"), place);
  if (ids.length < 2) return fill(place, nothing("Two runs or more are compared. ", h("a", { href: "#/" }, "Choose them in the list")));
  const view = new Comparison(ids, query, signal);
  const task = async () => {
    if (view.isDone) return;
    await view.refresh();
    if (!place.contains(view.element)) fill(place, view.element);
  };
  repeat(EVERY_MS, signal, task, (error) => {
    if (!place.contains(view.element)) fill(place, failure(error));
    return error.status >= 400 && error.status < 500 ? "stop" : "again";
  });
}

class Comparison {
  constructor(ids, query, signal) {
    this.ids = ids;
    this.query = query;
    this.signal = signal;
    this.agents = new Map();
    this.choice = h("select", { id: "metric", onchange: () => this.choose() });
    this.chart = new Chart("Performance against toll", signal, h("label", { class: "inline" }, "metric ", this.choice));
    this.channels = h("p", { class: "notice", hidden: true });
    this.place = h("div", {});
    this.element = h("div", { class: "cards-grid compare" }, this.channels, h("div", { class: "column" }, this.chart.element), h("section", { class: "card" }, h("h2", {}, "Figures"), this.place));
  }

  async refresh() {
    this.told = await ask("/compare", { query: { runs: this.ids.join(",") }, signal: this.signal });
    const unknown = this.ids.filter((id) => !this.agents.has(id));
    await Promise.all(unknown.map((id) => this.countAgents(id)));
    this.isDone = this.told.runs.every((run) => hasEnded(run.state));
    this.offer(Object.keys(this.told.metrics));
    this.say();
    this.draw();
  }

  async countAgents(id) {
    const { nodes } = await ask("/nodes", { query: { run: id }, signal: this.signal });
    this.agents.set(id, nodes.filter((node) => node.role === "agent").length);
  }

  offer(metrics) {
    if (this.choice.options.length === metrics.length) return;
    const wanted = this.query.get("metric") ?? metrics.find((name) => name.startsWith("reward")) ?? metrics[0];
    fill(this.choice, metrics.map((name) => h("option", { value: name }, words(name))));
    if (metrics.includes(wanted)) this.choice.value = wanted;
  }

  choose() {
    this.query.set("metric", this.choice.value);
    history.replaceState(null, "", `#/compare?${this.query}`);
    this.draw();
  }

  say() {
    const { same_channels: sameChannels, same_trace: sameTrace } = this.told;
    this.channels.hidden = sameChannels && !sameTrace;
    const different = new Set(this.told.runs.map((run) => run.world)).size > 1 ? OTHER_WORLDS : OTHER_CHANNELS;
    tell(this.channels, sameTrace ? "These runs have the same trace, bit for bit." : different);
    this.channels.classList.toggle("warn", !sameChannels);
  }

  draw() {
    const name = this.choice.value;
    const { unit, values } = this.told.metrics[name];
    const runs = this.told.runs.map((run, n) => ({ run, n, value: values[run.id], cost: this.cost(run) }));
    const there = runs.filter(({ value }) => value !== null);
    const trace = ({ run, n, value, cost }) => {
      const { colour, mark } = series(n);
      const about = { color: colour, symbol: mark, size: 13, line: { width: 1 } };
      return { type: "scatter", mode: "markers", cliponaxis: false, name: plain(`${run.scheme}, seed ${run.seed}`), x: [cost], y: [value], marker: about, hovertemplate: `${plain(run.id)}<br>%{x:.4g} bytes: %{y:.4g}` };
    };
    this.chart.draw({
      traces: () => there.map(trace),
      layout: { height: 400, showlegend: true, legend: { orientation: "h", y: -0.22, yanchor: "top" }, xaxis: { title: { text: "bytes per slot and node" } }, yaxis: { title: { text: plain(`${words(name)} [${unit}]`) } } },
      summary: there.map(({ run, value, cost }) => `${run.scheme}: ${figure(value)} ${unit} at ${figure(cost)} bytes`).join("; "),
      columns: [["run", ""], [`${words(name)} [${unit}]`, "number"], ["bytes per slot and node", "number"]],
      rows: there.map(({ run, value, cost }) => [run.id, figure(value), figure(cost)]),
    });
    fill(this.place, this.table(runs, name, unit));
  }

  /** Bytes of notes, each counted once, per slot and agent. */
  cost(run) {
    const told = Object.values(this.told.toll[run.id] ?? {}).reduce((sum, toll) => sum + toll.note_bytes, 0);
    return told / Math.max(1, run.slot) / Math.max(1, this.agents.get(run.id));
  }

  table(runs, name, unit) {
    const all = ({ id }) => Object.entries(this.told.toll[id] ?? {}).map(([kind, toll]) => `${kind} ${bytes(toll.note_bytes)}`).join(", ") || "nothing told";
    const columns = [["run", ""], ["scheme", ""], ["state", ""], [`${words(name)} [${unit}]`, "number"], ["bytes per slot and node", "number"], ["toll by kind", ""]];
    const rows = runs.map(({ run, value, cost }) => [
      h("a", { href: `#/runs/${encodeURIComponent(run.id)}` }, breakable(run.id)),
      h("span", {}, breakable(run.scheme)),
      badge(run.state),
      value === null && !hasEnded(run.state) ? "at its end" : figure(value),
      figure(cost),
      all(run),
    ]);
    return table("Runs that are compared", columns, rows, { hidden: true, cards: true });
  }
}
