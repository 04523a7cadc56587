// The list of runs, newest first: filters by state, and a choice of runs to compare.

import { announce } from "./announce.js";
import { request } from "./api.js";
import { breakable, fill, h, setText } from "./dom.js";
import { dateTime, integer, metricLabel, number } from "./format.js";
import { failure, loading, notice } from "./notices.js";
import { poll } from "./polling.js";
import { badge, STATES } from "./states.js";
import { tableRow } from "./table.js";

const EVERY_MS = 2000;
const PER_PAGE = 25;
const MAX_COMPARED = 16;
const METRICS_SHOWN = 2;
const COLUMNS = [
  ["Compare", ""], ["Run", ""], ["State", ""], ["Progress", ""],
  ["World", ""], ["Scheme", ""], ["Metrics", ""], ["Created", ""],
];
const selected = new Set(); // ids to compare, kept while other views are shown

/** The view; `query` has the filters. */
export function show(main, query, signal) {
  const list = new List(query, signal);
  main.append(...list.parts);
  poll(EVERY_MS, signal, () => list.refresh(), (error) => list.showError(error));
}

class List {
  constructor(query, signal) {
    this.query = query;
    this.signal = signal;
    this.states = new Map(); // run id -> state at the last poll
    this.rows = new Map();
    this.compare = h("button", { type: "button", class: "main", onclick: () => this.openComparison() }, "Compare");
    this.body = h("tbody", { role: "rowgroup" });
    this.content = h("div", { class: "list" }, loading("runs"));
    this.pages = h("nav", { class: "buttons", "aria-label": "Pages of runs" });
    const newRun = h("a", { href: "#/new", class: "button" }, "New run");
    this.parts = [
      h("div", { class: "head" }, h("h1", {}, "Runs"), h("div", { class: "buttons" }, this.compare, newRun)),
      this.filters(),
      this.content,
      this.pages,
    ];
    this.updateCompare();
  }

  filters() {
    const checked = this.query.getAll("state");
    const boxes = STATES.map((state) => {
      const onchange = (event) => this.filter("state", state, event.target.checked);
      const box = h("input", { type: "checkbox", checked: checked.includes(state), onchange });
      return h("label", { class: "choice" }, box, badge(state));
    });
    return h("fieldset", { class: "filters" }, h("legend", {}, "Filter by state"), boxes);
  }

  filter(name, value, isOn) {
    const others = this.query.getAll(name).filter((other) => other !== value);
    this.query.delete(name);
    this.query.delete("from");
    for (const state of isOn ? [...others, value] : others) this.query.append(name, state);
    history.replaceState(null, "", `#/?${this.query}`);
    this.refresh().catch((error) => this.showError(error));
  }

  async refresh() {
    const from = Number(this.query.get("from") ?? 0);
    const filters = this.query.toString();
    const query = { limit: PER_PAGE, offset: from, state: this.query.getAll("state") };
    const { runs, total } = await request("/runs", { query, signal: this.signal });
    if (filters !== this.query.toString()) return; // the filter changed while the request was under way
    this.announceChanges(runs);
    this.update(runs);
    this.updatePages(from, total);
  }

  showError(error) {
    if (!this.rows.size) fill(this.content, failure(error));
    return error.status === 401 ? "stop" : "retry";
  }

  update(runs) {
    if (!runs.length) {
      this.rows.clear();
      const first = () => notice("There are no runs yet. ", h("a", { href: "#/new" }, "Start the first one"));
      fill(this.content, this.query.has("state") ? notice("No run is in these states.") : first());
      return;
    }
    if (!this.rows.size) fill(this.content, runTable(this.body));
    this.rows = new Map(runs.map((run) => [run.id, this.rows.get(run.id) ?? new Row(run, () => this.updateCompare())]));
    for (const run of runs) this.rows.get(run.id).update(run);
    const rows = [...this.rows.values()].map((row) => row.element);
    const shown = this.body.children;
    // Rows are replaced only if their order has changed: an element that is moved loses the focus.
    if (rows.length !== shown.length || rows.some((row, n) => row !== shown[n])) fill(this.body, rows);
  }

  announceChanges(runs) {
    const changed = runs.filter(({ id, state }) => this.states.has(id) && this.states.get(id) !== state);
    if (changed.length === 1) announce(`${changed[0].id} is ${changed[0].state.toLowerCase()}`);
    else if (changed.length) announce(`${changed.length} runs have changed their state`);
    for (const { id, state } of runs) this.states.set(id, state);
  }

  updatePages(from, total) {
    const until = Math.min(total, from + PER_PAGE);
    const text = total > PER_PAGE ? `${from + 1} to ${until} of ${integer(total)}` : "";
    if (this.pages.dataset.text === text) return;
    this.pages.dataset.text = text;
    this.pages.hidden = !text;
    const link = (label, first) => h("a", { href: `#/?${this.queryFrom(first)}`, class: "button" }, label);
    const newer = from > 0 && link("Newer", Math.max(0, from - PER_PAGE));
    fill(this.pages, text && h("span", {}, text), newer, until < total && link("Older", until));
  }

  queryFrom(first) {
    const query = new URLSearchParams(this.query);
    query.set("from", first);
    return query;
  }

  updateCompare() {
    const isAllowed = selected.size >= 2 && selected.size <= MAX_COMPARED;
    this.compare.setAttribute("aria-disabled", String(!isAllowed));
    setText(this.compare, selected.size ? `Compare ${selected.size} runs` : "Compare");
  }

  openComparison() {
    if (selected.size < 2) announce("Choose two runs or more to compare them");
    else if (selected.size > MAX_COMPARED) announce(`At most ${MAX_COMPARED} runs can be compared`);
    else location.hash = `#/compare?runs=${encodeURIComponent([...selected].join(","))}`;
  }
}

/** One run's row. It is updated in place, so that an element that has the focus keeps it. */
class Row {
  constructor({ id, world, scheme, created }, onSelect) {
    const onchange = (event) => {
      if (event.target.checked) selected.add(id);
      else selected.delete(id);
      onSelect();
    };
    const box = { type: "checkbox", "aria-label": `Compare ${id}`, checked: selected.has(id), onchange };
    this.reason = h("span", { class: "reason" });
    this.state = h("span", {});
    this.bar = h("progress", { "aria-label": `Slots of ${id}` });
    this.progress = h("span", { class: "small" });
    this.metrics = h("span", { class: "metrics" });
    const link = h("a", { href: `#/runs/${encodeURIComponent(id)}` }, breakable(id));
    this.element = tableRow(COLUMNS, [
      h("input", box),
      h("span", { class: "stack" }, link, this.reason),
      this.state,
      h("span", { class: "stack" }, this.bar, this.progress),
      h("span", {}, breakable(world)),
      h("span", {}, breakable(scheme)),
      this.metrics,
      h("span", {}, dateTime(created)),
    ]);
  }

  update(run) {
    if (this.shownState !== run.state) fill(this.state, badge(run.state));
    this.shownState = run.state;
    setText(this.reason, run.reason);
    this.bar.value = run.slot;
    this.bar.max = Math.max(1, run.slots);
    setText(this.progress, `${integer(run.slot)} of ${integer(run.slots)}`);
    const metrics = Object.entries(run.metrics).slice(0, METRICS_SHOWN);
    setText(this.metrics, metrics.map(([name, value]) => `${metricLabel(name)} ${number(value)}`).join("\n") || "–");
  }
}

function runTable(body) {
  const headers = COLUMNS.map(([text]) => h("th", { scope: "col", role: "columnheader" }, text));
  return h(
    "table",
    { class: "cards runs", role: "table" },
    h("caption", { class: "visually-hidden" }, "Runs, newest first"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, headers)),
    body,
  );
}
