// Charts by Plotly, which the controller serves; each with its values as a table for those who do not see it.

import { h, tell } from "./element.js";
import { count, figure } from "./numbers.js";
import { series } from "./palette.js";
import { table } from "./table.js";

const SCRIPT = "page/plotly.min.js";
const MOST_ROWS = 25;
const ROOM = 0.12; // of an axis, for the name of a phase
const TRIES = 4;
let loaded = null;

/** Plotly; asked for early, it is there when there is something to draw. */
export function plotly() {
  loaded ??= fetched(TRIES).catch((error) => {
    loaded = null;
    throw error;
  });
  return loaded;
}

function fetched(tries) {
  return new Promise((resolve, reject) => {
    const failed = () => (tries > 1 ? setTimeout(() => fetched(tries - 1).then(resolve, reject), 1000) : reject(new Error("the charts could not be loaded")));
    document.head.append(h("script", { src: SCRIPT, onload: () => resolve(window.Plotly), onerror: failed }));
  });
}

/** A figure that is drawn anew whenever there is more to show, and when the theme changes. */
export class Chart {
  constructor(title, signal, ...controls) {
    this.drawing = h("div", { class: "plot", role: "img", "aria-label": title, hidden: true });
    this.empty = h("p", { class: "notice" }, "Nothing to draw yet.");
    this.values = h("details", {}, h("summary", {}, "As a table"));
    this.title = h("h2", {}, title);
    this.values.addEventListener("toggle", () => this.tabulate());
    this.element = h("section", { class: "card chart" }, h("div", { class: "head" }, this.title, controls), this.empty, this.drawing, this.values);
    this.signal = signal;
    document.addEventListener("themechange", () => this.last && this.draw(this.last), { signal });
    signal.addEventListener("abort", () => window.Plotly?.purge(this.drawing));
  }

  /**
   * `traces`: of Plotly, or a function that makes them, for colours follow the theme; `layout`: likewise; `summary`: in
   * a sentence; `columns` and `rows`: the values.
   */
  draw(what) {
    this.last = what;
    this.empty.hidden = what.rows.length > 0;
    this.drawing.hidden = this.values.hidden = !what.rows.length;
    if (!what.rows.length) return;
    this.drawing.setAttribute("aria-label", `${this.title.textContent}. ${what.summary}`);
    this.tabulate();
    plotly().then(
      (drawn) => {
        if (this.signal.aborted || this.last !== what) return;
        const config = { displayModeBar: false, responsive: true, scrollZoom: false };
        drawn.react(this.drawing, what.traces(), styled(this.element, what.layout), config);
      },
      (error) => {
        this.empty.hidden = false;
        tell(this.empty, `${error.message}; the table below has the values.`);
      },
    );
  }

  tabulate() {
    if (!this.values.open || !this.last) return;
    const { columns, rows } = this.last;
    const step = Math.ceil(rows.length / MOST_ROWS);
    const some = rows.filter((_, place) => (rows.length - 1 - place) % step === 0);
    const caption = step > 1 ? `${this.title.textContent}, every ${step}th of ${rows.length}` : this.title.textContent;
    this.values.lastElementChild.tagName === "SUMMARY" || this.values.lastElementChild.remove();
    this.values.append(table(caption, columns, some));
  }
}

/** Lines over slots: {name, x, y}; `unit` stands at the axis, `phases` [{name, first}] are marked. */
export function lines(chart, drawn, unit, phases) {
  const all = drawn.filter((line) => line.x.length);
  const slots = [...new Set(all.flatMap((line) => line.x))].sort((a, b) => a - b);
  const at = all.map((line) => new Map(line.x.map((slot, place) => [slot, line.y[place]])));
  const newest = all.map((line) => `${line.name} ${figure(line.y.at(-1))}`);
  chart.draw({
    traces: () => all.map((line, n) => lineTrace(line, n)),
    layout: { ...phaseMarks(phases, slots.at(-1)), xaxis: { title: { text: "slot" } }, yaxis: { title: { text: plain(unit) } }, showlegend: all.length > 1 },
    summary: `At slot ${count(slots.at(-1))}: ${newest.join(", ")} ${unit}`,
    columns: [["slot", "number"], ...all.map((line) => [line.name, "number"])],
    rows: slots.map((slot) => [count(slot), ...at.map((known) => figure(known.get(slot)))]),
  });
}

function lineTrace(line, n) {
  const { colour, dash, mark } = series(n);
  const few = line.x.length < 30;
  return {
    type: "scatter",
    mode: few ? "lines+markers" : "lines",
    name: plain(line.name),
    x: line.x,
    y: line.y,
    line: { color: colour, dash, width: 2 },
    marker: { color: colour, symbol: mark, size: 6 },
    hovertemplate: "slot %{x}: %{y:.4g}",
  };
}

/** Text for Plotly, which would take some of it for HTML. */
export function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Where phases begin, by `last`: a line, and their names. */
function phaseMarks(all, last) {
  if (all.length < 2) return {};
  const phases = all.filter(({ first }) => first <= last);
  const isWide = ({ first }, place) => (phases[place + 1]?.first ?? last) - first >= last * ROOM;
  const dashed = { type: "line", yref: "paper", y0: 0, y1: 1, line: { dash: "dot", width: 1, color: "#888888" } };
  return {
    shapes: phases.slice(1).map(({ first }) => ({ ...dashed, x0: first, x1: first })),
    annotations: phases.filter(isWide).map(({ name, first }) => ({ x: first, y: 1, yref: "paper", yanchor: "top", xanchor: "left", text: name, showarrow: false })),
  };
}

function styled(element, layout) {
  const { color, borderTopColor, fontFamily } = getComputedStyle(element);
  const axis = { gridcolor: borderTopColor, zerolinecolor: borderTopColor, linecolor: borderTopColor, automargin: true };
  return {
    height: 280,
    margin: { l: 52, r: 12, t: 18, b: 44 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: fontFamily, size: 12, color },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    hovermode: "closest",
    hoverlabel: { font: { family: fontFamily } },
    dragmode: false,
    ...layout,
    xaxis: { ...axis, rangemode: "tozero", ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}
