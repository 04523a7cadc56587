// Charts by Plotly, which the controller serves. Each has its values as a table, for people who cannot see it.

import { h, setText } from "./dom.js";
import { integer, number } from "./format.js";
import { series } from "./palette.js";
import { table } from "./table.js";

const SCRIPT = "page/plotly.min.js";
const ATTEMPTS = 4;
const RETRY_AFTER_MS = 1000;
const HEIGHT_PX = 280;
const MAX_TABLE_ROWS = 25;
const MAX_POINTS_WITH_MARKERS = 30;
const WIDE = 0.12; // of the axis: room for a phase's name
const NARROW = 0.025; // of the axis: room for it when rotated
let plotly = null; // a promise

/** Plotly. Called before there is anything to draw, it is loaded when there is. */
export function loadPlotly() {
  plotly ??= fetched(ATTEMPTS).catch((error) => {
    plotly = null;
    throw error;
  });
  return plotly;
}

function fetched(attempts) {
  return new Promise((resolve, reject) => {
    const onload = () => resolve(window.Plotly);
    const onerror = () => {
      if (attempts > 1) setTimeout(() => fetched(attempts - 1).then(resolve, reject), RETRY_AFTER_MS);
      else reject(new Error("the charts could not be loaded"));
    };
    document.head.append(h("script", { src: SCRIPT, onload, onerror }));
  });
}

/** A chart that is redrawn whenever there is more data, and when the theme changes. */
export class Chart {
  constructor(title, signal, ...controls) {
    this.plot = h("div", { class: "plot", role: "img", "aria-label": title, hidden: true });
    this.empty = h("p", { class: "notice" }, "No data yet.");
    this.values = h("details", {}, h("summary", {}, "As a table"));
    this.title = h("h2", {}, title);
    this.values.addEventListener("toggle", () => this.fillTable());
    const head = h("div", { class: "head" }, this.title, controls);
    this.element = h("section", { class: "card chart" }, head, this.empty, this.plot, this.values);
    this.signal = signal;
    document.addEventListener("themechange", () => this.drawn && this.draw(this.drawn), { signal });
    signal.addEventListener("abort", () => window.Plotly?.purge(this.plot));
  }

  /**
   * `traces`: a function that makes Plotly's traces, whose colours follow the theme; `layout`: Plotly's;
   * `summary`: one sentence for screen readers; `columns` and `rows`: the values as a table.
   */
  draw(content) {
    this.drawn = content;
    this.empty.hidden = content.rows.length > 0;
    this.plot.hidden = this.values.hidden = !content.rows.length;
    if (!content.rows.length) return;
    this.plot.setAttribute("aria-label", `${this.title.textContent}. ${content.summary}`);
    this.fillTable();
    // Plotly fits a chart to its element when the window is resized, so the element needs a height of its own.
    this.plot.style.height = `${content.layout.height ?? HEIGHT_PX}px`;
    loadPlotly().then(
      (library) => {
        if (this.signal.aborted || this.drawn !== content) return;
        const options = { displayModeBar: false, responsive: true, scrollZoom: false };
        library.react(this.plot, content.traces(), styled(this.element, content.layout), options);
      },
      (error) => {
        this.empty.hidden = false;
        setText(this.empty, `${error.message}; the table below has the values.`);
      },
    );
  }

  fillTable() {
    if (!this.values.open || !this.drawn) return;
    const { columns, rows } = this.drawn;
    const step = Math.ceil(rows.length / MAX_TABLE_ROWS);
    const some = rows.filter((_, n) => (rows.length - 1 - n) % step === 0);
    const title = this.title.textContent;
    if (this.values.lastElementChild.tagName !== "SUMMARY") this.values.lastElementChild.remove();
    this.values.append(table(step > 1 ? `${title}, every ${step}th of ${rows.length} rows` : title, columns, some));
  }
}

/** Draw lines {name, x, y} over slots; `unit` labels the axis, `phases` {name, first} are marked. */
export function lines(chart, all, unit, phases) {
  const drawn = all.filter((line) => line.x.length);
  const slots = [...new Set(drawn.flatMap((line) => line.x))].sort((a, b) => a - b);
  const values = drawn.map((line) => new Map(line.x.map((slot, n) => [slot, line.y[n]])));
  const newest = drawn.map((line) => `${line.name} ${number(line.y.at(-1))}`);
  chart.draw({
    traces: () => drawn.map(lineTrace),
    layout: {
      ...phaseMarks(phases, slots.at(-1)),
      xaxis: { title: { text: "slot" } },
      yaxis: { title: { text: plain(unit) } },
      showlegend: drawn.length > 1,
    },
    summary: `At slot ${integer(slots.at(-1))}: ${newest.join(", ")} ${unit}`,
    columns: [["slot", "number"], ...drawn.map((line) => [line.name, "number"])],
    rows: slots.map((slot) => [integer(slot), ...values.map((known) => number(known.get(slot)))]),
  });
}

function lineTrace(line, n) {
  const { colour, dash, marker } = series(n);
  return {
    type: "scatter",
    mode: line.x.length < MAX_POINTS_WITH_MARKERS ? "lines+markers" : "lines",
    name: plain(line.name),
    x: line.x,
    y: line.y,
    line: { color: colour, dash, width: 2 },
    marker: { color: colour, symbol: marker, size: 6 },
    hovertemplate: "slot %{x}: %{y:.4g}",
  };
}

/** Text for Plotly, which would read some characters as HTML. */
export function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Plotly's lines and labels where phases begin, on an axis that ends at the slot `end`. */
export function phaseMarks(all, end) {
  if (all.length < 2) return {};
  const phases = all.filter(({ first }) => first <= end);
  const line = { type: "line", yref: "paper", y0: 0, y1: 1, line: { dash: "dot", width: 1, color: "#888888" } };
  const share = ({ first }, n) => ((phases[n + 1]?.first ?? end) - first) / end;
  const position = { y: 1, yref: "paper", xanchor: "left", xshift: 2, yanchor: "top", showarrow: false };
  // The label of a short phase is rotated: it runs along the phase's line.
  const label = ({ name, first }, width) => ({ ...position, x: first, text: name, textangle: width < WIDE ? -90 : 0 });
  return {
    shapes: phases.slice(1).map(({ first }) => ({ ...line, x0: first, x1: first })),
    annotations: phases.flatMap((phase, n) => (share(phase, n) < NARROW ? [] : [label(phase, share(phase, n))])),
  };
}

function styled(element, layout) {
  const { backgroundColor, borderTopColor, color, fontFamily } = getComputedStyle(element);
  const line = borderTopColor;
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
  return {
    height: HEIGHT_PX,
    margin: { l: 52, r: 12, t: 18, b: 44 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: fontFamily, size: 12, color },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    hovermode: "closest",
    hoverlabel: { font: { family: fontFamily } },
    dragmode: false,
    ...layout,
    // Labels on bars need a background; on lines it would hide values.
    annotations: layout.annotations?.map((label) => (layout.barmode ? { ...label, bgcolor: backgroundColor } : label)),
    xaxis: { ...axis, rangemode: "tozero", ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}
