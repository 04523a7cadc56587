// One run, live: its state, map, metrics, toll, nodes, log, configuration and files.

import { announce } from "./announce.js";
import { Problem, request } from "./api.js";
import { Chart, lines, loadPlotly } from "./charts.js";
import { confirmed } from "./dialog.js";
import { fill, h } from "./dom.js";
import { follow } from "./events.js";
import { Files } from "./files.js";
import { metricLabel } from "./format.js";
import { Log } from "./log.js";
import { RunMap } from "./map.js";
import { Metrics, Scalars } from "./metrics.js";
import { Nodes } from "./nodes.js";
import { failure, loading } from "./notices.js";
import { poll, retry } from "./polling.js";
import { RunHead } from "./run_head.js";
import { hasEnded } from "./states.js";
import { Toll } from "./toll.js";

const MAP_EVERY_MS = 1000;
const NODES_EVERY_MS = 8000; // and whenever the log grows
const DRAW_AFTER_MS = 300; // one drawing for all events that come together
const MAX_SCALAR_LINES = 8;
const LEFT_HEIGHT = 4; // the map and the toll are as high as so many charts of metrics

/** The view of one run. */
export function show(main, id, signal) {
  const content = h("div", {}, loading("the run"));
  main.append(h("h1", { class: "id" }, id), content);
  const path = `/runs/${encodeURIComponent(id)}`;
  loadPlotly().catch(() => {}); // early; a chart that needs it reports the failure
  const load = async () => {
    const metrics = request(`${path}/metrics`, { query: { windows: 1 }, signal });
    const [run, { series }] = await Promise.all([request(path, { signal }), metrics]);
    const view = new RunView(run, series, signal);
    fill(content, view.element);
    view.start();
  };
  retry(signal, load, (error) => {
    fill(content, failure(error));
    return error instanceof Problem && error.status < 500 ? "stop" : "retry";
  });
}

class RunView {
  constructor(run, series, signal) {
    this.run = run;
    this.path = `/runs/${encodeURIComponent(run.id)}`;
    this.signal = signal;
    this.phases = phasesOf(run.config);
    this.metrics = new Metrics();
    this.scalars = new Scalars();
    this.toll = new Toll(this.phases, signal);
    this.log = new Log();
    this.head = new RunHead(run, (action) => this.act(action));
    this.map = new RunMap(run, signal);
    this.nodes = new Nodes(run, this.scalars, signal);
    this.charts = chartsOf(series).map(({ title, ...chart }) => ({ ...chart, chart: new Chart(title, signal) }));
    this.scalar = h("select", { id: "scalar", onchange: () => this.drawScalars() });
    this.scalarChart = new Chart("Node scalars", signal, h("label", { class: "inline" }, "scalar ", this.scalar));
    this.scalarChart.element.hidden = true;
    this.element = this.layout();
  }

  layout() {
    const charts = this.charts.map(({ chart }) => chart.element);
    const right = Math.ceil((charts.length + LEFT_HEIGHT) / 2);
    const toll = [this.toll.overTime.element, this.toll.totals.element];
    return h(
      "div",
      {},
      this.head.element,
      h(
        "div",
        { class: "cards-grid" },
        h("div", { class: "column" }, this.map.element, toll, charts.slice(right)),
        h("div", { class: "column" }, charts.slice(0, right), this.scalarChart.element),
        this.nodes.element,
        this.log.element,
        configuration(this.run),
        new Files(this.run, this.signal).element,
      ),
    );
  }

  /** Poll what is polled, and follow the run's events. */
  start() {
    this.draw();
    const onError = (error) => (error.status === 404 ? (this.showError(error), "stop") : "retry");
    poll(MAP_EVERY_MS, this.signal, this.onProgress(() => this.map.refresh()), onError);
    poll(NODES_EVERY_MS, this.signal, this.onProgress(({ slot }) => this.nodes.refresh(slot)), onError);
    follow(this.run.id, {
      signal: this.signal,
      onStart: () => this.clear(),
      onEvent: (name, data) => this.receive(name, data),
    }).catch((error) => this.signal.aborted || this.showError(error));
  }

  /** A task that runs only if the run has made progress since the last time. */
  onProgress(task) {
    let done = "";
    return async () => {
      const { state, slot } = this.run;
      if (done === `${state} ${slot}`) return;
      await task({ state, slot });
      done = `${state} ${slot}`;
    };
  }

  clear() {
    for (const data of [this.metrics, this.scalars, this.toll, this.log]) data.clear();
  }

  receive(name, data) {
    if (data.state) this.update(data);
    if (name === "end") return;
    if (data.metrics.some((row) => this.metrics.repeats(row))) return "restart";
    for (const target of ["metrics", "scalars", "toll"]) for (const row of data[target]) this[target].add(row);
    this.log.add(data.log);
    // The log reports lost nodes and rejoins, which /nodes then shows; a failed request is repeated by the poll.
    if (data.log.length && this.run.state !== "PENDING") this.nodes.refresh(this.run.slot).catch(() => {});
    if (data.metrics.length || data.scalars.length || data.toll.length) this.drawSoon();
  }

  drawSoon() {
    this.drawing ??= setTimeout(() => {
      this.drawing = null;
      this.draw();
    }, DRAW_AFTER_MS);
  }

  /** Show a change of the run's state, slot or reason. */
  update({ state, slot, reason }) {
    const hasChanged = state !== this.run.state;
    this.run = { ...this.run, state, slot, reason };
    this.head.update(this.run);
    if (!hasChanged) return;
    announce(`The run is ${state.toLowerCase()}${reason ? `: ${reason}` : ""}`);
    this.reload(); // events carry neither the start nor the end time
  }

  async reload() {
    const { started, ended } = await request(this.path, { signal: this.signal }).catch(() => this.run);
    this.run = { ...this.run, started, ended };
    this.head.update(this.run);
  }

  /** Send what the user requested by a button: pause, resume, stop or delete. */
  async act(action) {
    if (action === "delete") return this.delete();
    const question = "Stop the run? Its results so far are kept, but it cannot be resumed.";
    if (action === "stop" && !(await confirmed(question, "Stop the run"))) return;
    await this.attempt(async () => this.update(await request(`${this.path}/${action}`, { method: "POST" })));
  }

  async delete() {
    if (!(await confirmed("Delete the run, its folder and all its files?", "Delete the run"))) return;
    await this.attempt(async () => {
      await request(this.path, { method: "DELETE" });
      location.hash = "#/";
    });
  }

  async attempt(task) {
    try {
      this.head.showError("");
      await task();
    } catch (error) {
      this.head.showError(error.message);
    }
  }

  draw() {
    for (const { names, unit, chart } of this.charts) {
      const series = names.map((name) => ({ name: metricLabel(name), ...this.metrics.series(name) }));
      lines(chart, series, unit, this.phases);
    }
    this.toll.draw(this.run.slot);
    this.drawScalars();
  }

  drawScalars() {
    const names = [...this.scalars.byName.keys()].filter((name) => name !== "policy_version").sort();
    this.scalarChart.element.hidden = !names.length;
    if (!names.length) return;
    const before = this.scalar.value;
    if (names.length !== this.scalar.options.length) fill(this.scalar, names.map((name) => h("option", {}, name)));
    if (names.includes(before)) this.scalar.value = before;
    const nodes = [...this.scalars.byName.get(this.scalar.value)].slice(0, MAX_SCALAR_LINES);
    lines(this.scalarChart, nodes.map(([name, series]) => ({ name, ...series })), this.scalar.value, this.phases);
  }

  showError(error) {
    this.head.showError(error.status === 404 ? "The run does not exist any more: it was deleted." : error.message);
  }
}

/** One chart for rewards, then one for each unit. */
function chartsOf(series) {
  const charts = new Map();
  for (const [name, { unit }] of Object.entries(series)) {
    const key = name.startsWith("reward") ? "" : unit;
    if (!charts.has(key)) charts.set(key, { names: [], unit: unit === "1" ? "share" : unit });
    charts.get(key).names.push(name);
  }
  const rewardFirst = [...charts].sort(([a], [b]) => (b === "") - (a === ""));
  return rewardFirst.map(([key, { names, unit }]) => ({ title: chartTitle(key, names), names, unit }));
}

function chartTitle(key, names) {
  if (key === "") return "Reward";
  if (key === "1") return "Shares";
  const text = names.map(metricLabel).join(", ");
  return text[0].toUpperCase() + text.slice(1);
}

/** The phases that have slots, train and eval in turns as often as there are rounds: their names and first slots. */
function phasesOf(config) {
  const { warmup = 0, train = 0, eval: evaluation = 0, rounds = 1 } = config.phases ?? {};
  const inTurns = Array.from({ length: rounds }, () => [["train", train], ["eval", evaluation]]).flat();
  const phases = [["warmup", warmup], ...inTurns].filter(([, slots]) => slots > 0);
  let first = 0;
  return phases.map(([name, slots]) => ({ name, first: (first += slots) - slots }));
}

function configuration(run) {
  const copy = h("a", { href: `#/new?like=${encodeURIComponent(run.id)}`, class: "button" }, "New run like this one");
  const about = { tabindex: "0", role: "region", "aria-label": "Configuration" };
  const text = h("pre", about, JSON.stringify(run.config, null, 2));
  return h("details", { class: "card wide" }, h("summary", {}, h("h2", {}, "Configuration")), h("p", {}, copy), text);
}
