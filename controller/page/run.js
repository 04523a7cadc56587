// One run, live: how far it is, its map, its figures, its toll, its nodes, and what may be asked of it.

import { ask, Problem } from "./api.js";
import { say } from "./announce.js";
import { Chart, lines, plotly } from "./charts.js";
import { confirmed } from "./dialog.js";
import { fill, h, tell } from "./element.js";
import { follow } from "./events.js";
import { Files } from "./files.js";
import { Log } from "./log.js";
import { RunMap } from "./map.js";
import { Nodes } from "./nodes.js";
import { failure, loading } from "./notices.js";
import { count, moment as shownMoment, words } from "./numbers.js";
import { once, repeat } from "./patience.js";
import { badge, hasEnded, may } from "./states.js";
import { Toll } from "./toll.js";
import { Scalars, Windows } from "./windows.js";

const MAP_EVERY_MS = 1000;
const TOLL_EVERY_MS = 2500;
const NODES_EVERY_MS = 8000; // and when the log has something to say
const DRAW_AFTER_MS = 300;
const LEFT = 4; // what stands left of the charts is as high as so many of them

/** The view of the run of an id. */
export function show(main, id, signal) {
  const place = h("div", {}, loading("the run"));
  main.append(h("h1", { class: "id" }, id), place);
  const path = `/runs/${encodeURIComponent(id)}`;
  plotly().catch(() => {}); // said where something is to be drawn
  const begin = async () => {
    const [run, { series }] = await Promise.all([ask(path, { signal }), ask(`${path}/metrics`, { query: { windows: 1 }, signal })]);
    const view = new RunView(run, series, signal);
    fill(place, view.element);
    view.begin();
  };
  const failed = (error) => (fill(place, failure(error)), error instanceof Problem && error.status < 500 ? "stop" : "again");
  once(signal, begin, failed);
}

class RunView {
  constructor(run, metrics, signal) {
    this.run = run;
    this.path = `/runs/${encodeURIComponent(run.id)}`;
    this.signal = signal;
    this.windows = new Windows();
    this.scalars = new Scalars();
    this.head = new Head(run, (what) => this.tell(what));
    this.map = new RunMap(run, signal);
    this.toll = new Toll(run, signal);
    this.nodes = new Nodes(run, this.scalars, signal);
    this.log = new Log();
    this.phases = phasesOf(run.config);
    this.charts = chartsOf(metrics).map(([title, names, unit]) => ({ names, unit, chart: new Chart(title, signal) }));
    this.report = h("select", { id: "report", onchange: () => this.drawScalars() });
    this.scalarChart = new Chart("What nodes report", signal, h("label", { class: "inline" }, "figure ", this.report));
    this.scalarChart.element.hidden = true;
    const drawn = this.charts.map(({ chart }) => chart.element);
    const right = Math.ceil((drawn.length + LEFT) / 2);
    this.element = h(
      "div",
      {},
      this.head.element,
      h(
        "div",
        { class: "cards-grid" },
        h("div", { class: "column" }, this.map.element, this.toll.time.element, this.toll.bars.element, drawn.slice(right)),
        h("div", { class: "column" }, drawn.slice(0, right), this.scalarChart.element),
        this.nodes.element,
        this.log.element,
        config(run),
        new Files(run, signal).element,
      ),
    );
  }

  begin() {
    this.drawFigures();
    const stop = (error) => (error.status === 404 ? (this.gone(error), "stop") : "again");
    repeat(MAP_EVERY_MS, this.signal, this.ifNew(() => this.map.refresh(this.signal)), stop);
    repeat(TOLL_EVERY_MS, this.signal, this.ifNew(({ state, slot }) => this.toll.refresh(slot, hasEnded(state))), stop);
    repeat(NODES_EVERY_MS, this.signal, this.ifNew(({ slot }) => this.nodes.refresh(slot)), stop);
    follow(this.run.id, { signal: this.signal, begun: () => this.clear(), heard: (event, data) => this.heard(event, data) }).catch(
      (error) => this.signal.aborted || this.gone(error),
    );
  }

  /** A task that is done when the run has gone on since it was done last. */
  ifNew(task) {
    let done = "";
    return async () => {
      const { state, slot } = this.run;
      if (done === `${state} ${slot}`) return;
      await task({ state, slot });
      done = `${state} ${slot}`;
    };
  }

  clear() {
    for (const kept of [this.windows, this.scalars, this.log]) kept.clear();
  }

  heard(event, data) {
    if (data.state) this.stand(data);
    if (event !== "figures") return;
    for (const row of data.metrics) this.windows.add(row);
    for (const row of data.scalars) this.scalars.add(row);
    this.log.add(data.log);
    if (data.log.length && this.run.state !== "PENDING") this.nodes.refresh(this.run.slot).catch(() => {}); // asked for again later
    if (data.metrics.length || data.scalars.length) this.drawSoon();
  }

  /** Once for all that comes in a moment. */
  drawSoon() {
    this.drawing ??= setTimeout(() => {
      this.drawing = null;
      this.drawFigures();
      this.drawScalars();
    }, DRAW_AFTER_MS);
  }

  stand({ state, slot, reason }) {
    const hasChanged = state !== this.run.state;
    this.run = { ...this.run, state, slot, reason };
    this.head.stand(this.run);
    if (hasChanged) say(`The run is ${state.toLowerCase()}${reason ? `: ${reason}` : ""}`);
    if (hasChanged && hasEnded(state)) this.refresh();
  }

  async refresh() {
    this.head.stand(await ask(this.path, { signal: this.signal }).catch(() => this.run));
  }

  async tell(what) {
    if (what === "remove") return this.remove();
    const question = "Stop the run? What it has so far is kept, but it cannot go on.";
    if (what === "stop" && !(await confirmed(question, "Stop the run"))) return;
    await this.asked(async () => this.stand(await ask(`${this.path}/${what}`, { method: "POST" })));
  }

  async remove() {
    if (!(await confirmed("Delete the run, its folder and all its files?", "Delete the run"))) return;
    await this.asked(async () => {
      await ask(this.path, { method: "DELETE" });
      location.hash = "#/";
    });
  }

  async asked(task) {
    try {
      this.head.complain("");
      await task();
    } catch (error) {
      this.head.complain(error.message);
    }
  }

  drawFigures() {
    for (const { names, unit, chart } of this.charts) {
      lines(chart, names.map((name) => ({ name: words(name), ...this.windows.series(name) })), unit, this.phases);
    }
  }

  drawScalars() {
    const names = [...this.scalars.byName.keys()].filter((name) => name !== "policy_version").sort();
    this.scalarChart.element.hidden = !names.length;
    if (!names.length) return;
    const before = this.report.value;
    if (names.length !== this.report.options.length) fill(this.report, names.map((name) => h("option", {}, name)));
    if (names.includes(before)) this.report.value = before;
    const nodes = [...this.scalars.byName.get(this.report.value)].slice(0, 8);
    lines(this.scalarChart, nodes.map(([name, series]) => ({ name, ...series })), this.report.value, this.phases);
  }

  gone(error) {
    this.head.complain(error.status === 404 ? "The run is not there any more: it was deleted." : error.message);
  }
}

/** What stands above all: the state, how far it is, and what may be asked of the run. */
class Head {
  constructor(run, asked) {
    const button = (what, text, kind) => {
      const click = (event) => event.currentTarget.getAttribute("aria-disabled") === "true" || asked(what);
      return [what, h("button", { type: "button", class: kind, onclick: click }, text)];
    };
    this.buttons = Object.fromEntries([button("pause", "Pause"), button("resume", "Resume"), button("stop", "Stop"), button("remove", "Delete", "danger")]);
    this.state = h("span", {});
    this.bar = h("progress", { "aria-label": "Slots done" });
    this.far = h("span", {});
    this.reason = h("p", { class: "reason", hidden: true });
    this.complaint = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.facts = h("dl", { class: "facts" });
    this.element = h(
      "section",
      { class: "card run-head", "aria-label": "State" },
      h("div", { class: "head" }, h("div", { class: "standing" }, this.state, this.bar, this.far), h("div", { class: "buttons" }, Object.values(this.buttons))),
      this.reason,
      this.complaint,
      this.facts,
    );
    this.stand(run);
  }

  stand(run) {
    if (this.shown !== run.state) fill(this.state, badge(run.state));
    this.shown = run.state;
    this.bar.max = Math.max(1, run.slots);
    this.bar.value = run.slot;
    tell(this.far, `slot ${count(run.slot)} of ${count(run.slots)}`);
    const waits = run.state === "PENDING" && !run.reason ? "It waits until others have made room for it." : "";
    this.reason.hidden = !(run.reason || waits);
    this.reason.classList.toggle("bad", run.state === "FAILED");
    tell(this.reason, `${run.state === "FAILED" ? "Why it failed: " : ""}${run.reason || waits}`);
    for (const [what, isAllowed] of Object.entries(may(run.state))) this.buttons[what].setAttribute("aria-disabled", String(!isAllowed));
    this.tellFacts(run);
  }

  tellFacts(run) {
    const facts = { world: run.world, scheme: run.scheme, seed: String(run.seed), placement: run.config.placement, begun: shownMoment(run.started), ended: shownMoment(run.ended) };
    const text = JSON.stringify(facts);
    if (text === this.facts.dataset.text) return;
    this.facts.dataset.text = text;
    fill(this.facts, Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value ?? "–"))));
  }

  complain(text) {
    this.complaint.hidden = !text;
    tell(this.complaint, text);
  }
}

/** Metrics by chart: rewards, then what has the same unit. */
function chartsOf(series) {
  const charts = new Map();
  for (const [name, { unit }] of Object.entries(series)) {
    const key = name.startsWith("reward") ? "" : unit;
    if (!charts.has(key)) charts.set(key, { names: [], unit: unit === "1" ? "share" : unit });
    charts.get(key).names.push(name);
  }
  const inOrder = [...charts].sort(([a], [b]) => (b === "") - (a === ""));
  return inOrder.map(([key, { names, unit }]) => [titled(key, names), names, unit]);
}

function titled(key, names) {
  return key === "" ? "Reward" : key === "1" ? "Shares" : capital(names.map(words).join(", "));
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function phasesOf(config) {
  const phases = Object.entries(config.phases ?? {}).filter(([, slots]) => slots > 0);
  let first = 0;
  return phases.map(([name, slots]) => ({ name, first: (first += slots) - slots }));
}

function config(run) {
  const again = h("a", { href: `#/new?like=${encodeURIComponent(run.id)}`, class: "button" }, "New run like this one");
  const text = h("pre", { tabindex: "0", role: "region", "aria-label": "Configuration" }, JSON.stringify(run.config, null, 2));
  return h("details", { class: "card wide" }, h("summary", {}, h("h2", {}, "Configuration")), h("p", {}, again), text);
}
