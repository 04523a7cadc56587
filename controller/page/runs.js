// All runs, the newest first: what became of them, and which of them to compare.

import { ask } from "./api.js";
import { say } from "./announce.js";
import { breakable, fill, h, tell } from "./element.js";
import { failure, loading, nothing } from "./notices.js";
import { count, figure, moment, words } from "./numbers.js";
import { repeat } from "./patience.js";
import { badge, STATES } from "./states.js";
import { tableRow } from "./table.js";

const EVERY_MS = 2000;
const A_PAGE = 25;
const MOST_COMPARED = 16;
const COLUMNS = [["Compare", ""], ["Run", ""], ["State", ""], ["Progress", ""], ["World", ""], ["Scheme", ""], ["Figures", ""], ["Taken", ""]];
const chosen = new Set(); // ids to compare, kept while other views are looked at

/** The view; `query` has the filters. */
export function show(main, query, signal) {
  const list = new List(query, signal);
  main.append(...list.parts);
  repeat(EVERY_MS, signal, () => list.refresh(), (error) => list.fail(error));
}

class List {
  constructor(query, signal) {
    this.query = query;
    this.signal = signal;
    this.states = new Map(); // by id, as they were told last
    this.rows = new Map();
    this.compare = h("button", { type: "button", class: "main", onclick: () => this.toCompare() }, "Compare");
    this.body = h("tbody", { role: "rowgroup" });
    this.place = h("div", { class: "list" }, loading("runs"));
    this.turning = h("nav", { class: "buttons", "aria-label": "Pages of runs" });
    this.parts = [
      h("div", { class: "head" }, h("h1", {}, "Runs"), h("div", { class: "buttons" }, this.compare, newRun())),
      this.filters(),
      this.place,
      this.turning,
    ];
    this.choose();
  }

  filters() {
    const given = this.query.getAll("state");
    const boxes = STATES.map((state) => {
      const change = (event) => this.filter("state", state, event.target.checked);
      return h("label", { class: "choice" }, h("input", { type: "checkbox", checked: given.includes(state), onchange: change }), badge(state));
    });
    return h("fieldset", { class: "filters" }, h("legend", {}, "Only these states"), boxes);
  }

  filter(name, value, isOn) {
    const others = this.query.getAll(name).filter((one) => one !== value);
    this.query.delete(name);
    this.query.delete("from");
    for (const one of isOn ? [...others, value] : others) this.query.append(name, one);
    history.replaceState(null, "", `#/?${this.query}`);
    this.refresh().catch((error) => this.fail(error));
  }

  async refresh() {
    const from = Number(this.query.get("from") ?? 0);
    const asked = this.query.toString();
    const query = { limit: A_PAGE, offset: from, state: this.query.getAll("state") };
    const told = await ask("/runs", { query, signal: this.signal });
    if (asked !== this.query.toString()) return; // the filter has changed meanwhile
    this.announce(told.runs);
    this.fillIn(told.runs);
    this.turn(from, told.total);
  }

  fail(error) {
    if (!this.rows.size) fill(this.place, failure(error));
    return error.status === 401 ? "stop" : "again";
  }

  fillIn(runs) {
    if (!runs.length) {
      this.rows.clear();
      const text = this.query.has("state") ? "No run is in these states." : "There are no runs yet. ";
      fill(this.place, nothing(text, this.query.has("state") ? null : h("a", { href: "#/new" }, "Start the first one")));
      return;
    }
    if (!this.rows.size) fill(this.place, whole(this.body));
    this.rows = new Map(runs.map((run) => [run.id, (this.rows.get(run.id) ?? new Row(this)).fillIn(run)]));
    const rows = [...this.rows.values()].map((row) => row.element);
    if (rows.some((row, place) => row !== this.body.children[place]) || rows.length !== this.body.children.length) fill(this.body, rows);
  }

  announce(runs) {
    const changed = runs.filter((run) => this.states.has(run.id) && this.states.get(run.id) !== run.state);
    if (changed.length === 1) say(`${changed[0].id} is ${changed[0].state.toLowerCase()}`);
    else if (changed.length) say(`${changed.length} runs have changed their state`);
    for (const run of runs) this.states.set(run.id, run.state);
  }

  turn(from, total) {
    const until = Math.min(total, from + A_PAGE);
    const to = (text, place) => h("a", { href: `#/?${this.at(place)}`, class: "button" }, text);
    const links = [from > 0 && to("Newer", Math.max(0, from - A_PAGE)), until < total && to("Older", until)];
    const text = total > A_PAGE ? `${from + 1} to ${until} of ${count(total)}` : "";
    if (this.turning.dataset.text !== text) {
      this.turning.dataset.text = text;
      fill(this.turning, text && h("span", {}, text), links);
      this.turning.hidden = !text;
    }
  }

  at(place) {
    const query = new URLSearchParams(this.query);
    query.set("from", place);
    return query;
  }

  choose(id, isOn) {
    if (id) isOn ? chosen.add(id) : chosen.delete(id);
    const fits = chosen.size >= 2 && chosen.size <= MOST_COMPARED;
    this.compare.setAttribute("aria-disabled", String(!fits));
    tell(this.compare, chosen.size ? `Compare ${chosen.size} runs` : "Compare");
  }

  toCompare() {
    if (chosen.size < 2) say("Choose two runs or more to compare them");
    else if (chosen.size > MOST_COMPARED) say(`At most ${MOST_COMPARED} runs are compared`);
    else location.hash = `#/compare?runs=${encodeURIComponent([...chosen].join(","))}`;
  }
}

/** One run's line, updated in place: what has the focus keeps it. */
class Row {
  constructor(list) {
    this.list = list;
    this.box = h("input", { type: "checkbox", onchange: () => list.choose(this.id, this.box.checked) });
    this.link = h("a", {});
    this.reason = h("span", { class: "reason" });
    this.state = h("span", {});
    this.bar = h("progress", {});
    this.far = h("span", { class: "small" });
    this.world = h("span", {});
    this.scheme = h("span", {});
    this.figures = h("span", { class: "figures" });
    this.taken = h("span", {});
    this.element = tableRow(COLUMNS, [
      this.box,
      h("span", { class: "stack" }, this.link, this.reason),
      this.state,
      h("span", { class: "stack" }, this.bar, this.far),
      this.world,
      this.scheme,
      this.figures,
      this.taken,
    ]);
  }

  fillIn(run) {
    if (this.id !== run.id) this.name(run);
    if (this.told !== run.state) fill(this.state, badge(run.state));
    this.told = run.state;
    tell(this.reason, run.reason);
    this.bar.value = run.slot;
    this.bar.max = Math.max(1, run.slots);
    tell(this.far, `${count(run.slot)} of ${count(run.slots)}`);
    const metrics = Object.entries(run.metrics).slice(0, 2);
    const text = metrics.map(([name, value]) => `${words(name)} ${figure(value)}`).join("\n");
    tell(this.figures, text || "–");
    return this;
  }

  name(run) {
    this.id = run.id;
    this.box.setAttribute("aria-label", `Compare ${run.id}`);
    this.box.checked = chosen.has(run.id);
    this.link.href = `#/runs/${encodeURIComponent(run.id)}`;
    this.bar.setAttribute("aria-label", `Slots of ${run.id}`);
    fill(this.link, breakable(run.id));
    fill(this.world, breakable(run.world));
    fill(this.scheme, breakable(run.scheme));
    tell(this.taken, moment(run.created));
  }
}

function whole(body) {
  const heads = COLUMNS.map(([head]) => h("th", { scope: "col", role: "columnheader" }, head));
  return h(
    "table",
    { class: "cards runs", role: "table" },
    h("caption", { class: "unseen" }, "Runs, the newest first"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
    body,
  );
}

function newRun() {
  return h("a", { href: "#/new", class: "button" }, "New run");
}
