// A world's drawing (protocol/messages/drawing.py) as SVG: circles, lines, points, bars and labels, in any world alike.

import { h, s } from "./dom.js";
import { number } from "./format.js";
import { marker, symbol } from "./markers.js";
import { resourceColour } from "./palette.js";
import { table } from "./table.js";

const WIDTH = 1000; // of the drawing; sizes of marks are in its thousandths
const FONT = 20;
const BAR = [12, 50]; // width and height
const STAR = "M0 -1L.27 -.33L1 -.33L.43 .15L.63 .9L0 .45L-.63 .9L-.43 .15L-1 -.33L-.27 -.33Z";
const TONES = ["quiet", "accent", "warning"];

/** The drawing as SVG; markers and text are `k` times as large. */
export function svgOf(drawing, k) {
  const scale = WIDTH / (drawing.right - drawing.left);
  const at = (x, y) => [(x - drawing.left) * scale, (drawing.top - y) * scale];
  const box = `0 0 ${WIDTH} ${(drawing.top - drawing.bottom) * scale}`;
  const group = (name, list, draw) => s("g", { class: name }, (list ?? []).map(draw));
  const svg = s(
    "svg",
    { viewBox: box, class: "map" },
    s("defs", {}, TONES.map(arrowHead)),
    group("circles", drawing.circles, ({ x, y, radius }) => circle(at(x, y), radius * scale, "outline")),
    group("lines", drawing.lines, (line) => drawnLine(line, at(line.x1, line.y1), at(line.x2, line.y2), scale, k)),
    group("points", drawing.points, (point) => drawnPoint(point, at(point.x, point.y), k)),
    group("bars", drawing.bars, (bar) => drawnBar(bar, at(bar.x, bar.y), k)),
    group("labels", drawing.labels, (label) => drawnLabel(label, at(label.x, label.y), k)),
    drawing.unit ? scaleBar(drawing, scale) : null,
  );
  svg.style.fontSize = `${FONT * k}px`; // an attribute `style` is not allowed by the page's security policy
  return svg;
}

/** The legend, as a list. */
export function legendOf(drawing) {
  const items = (drawing.legend ?? []).map(({ text, point, line, bar }) => {
    const sample = [
      point ? drawnPoint({ ...point, size: Math.min(point.size ?? 9, 7) }, [0, 0], 1) : null,
      line ? drawnLine({ ...line, bend: 0, gap: 0 }, [-9, 0], [9, 0], 1, 1) : null,
      bar ? drawnBar({ ...bar, label: "" }, [0, 9], 0.36) : null,
    ].filter(Boolean);
    return h("li", {}, sample.length ? symbol(sample) : null, ` ${text}`);
  });
  return h("ul", { class: "legend" }, items);
}

/** The table with the drawing's content; null if it has none. */
export function tableOf({ table: content }) {
  if (!content) return null;
  const isNumber = (column) => content.rows.length > 0 && content.rows.every((row) => typeof row[column] === "number");
  const columns = content.columns.map((name, column) => [name, isNumber(column) ? "number" : ""]);
  const shown = (cell) => (typeof cell === "number" ? number(cell) : cell);
  return table(content.caption, columns, content.rows.map((row) => row.map(shown)));
}

function circle([cx, cy], r, name, colour) {
  return s("circle", { cx, cy, r, class: name, stroke: colour });
}

/** A line, straight or bent, that ends outside both places. */
function drawnLine({ style = "solid", heads = "none", bend = 0, gap = 0, resource, tone = "quiet" }, from, to, scale, k) {
  const [[x1, y1], [x2, y2]] = [from, to];
  const distance = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [ux, uy] = [(x2 - x1) / distance, (y2 - y1) / distance];
  const clearance = gap * scale * k;
  const control = [(x1 + x2) / 2 + bend * distance * uy, (y1 + y2) / 2 - bend * distance * ux];
  const start = [x1 + ux * clearance, y1 + uy * clearance];
  const end = [x2 - ux * clearance, y2 - uy * clearance];
  const head = `url(#head-${tone})`;
  return s("path", {
    class: `line ${style} ${tone}`,
    d: `M${start}Q${control} ${end}`,
    stroke: resource === undefined || resource === null ? null : colourOf(resource),
    "marker-end": heads === "none" ? null : head,
    "marker-start": heads === "both" ? head : null,
  });
}

function arrowHead(tone) {
  const size = { viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 7, markerHeight: 7 };
  const head = s("path", { d: "M0 1L10 5L0 9Z", class: `head ${tone}` });
  return s("marker", { id: `head-${tone}`, ...size, orient: "auto-start-reverse" }, head);
}

function drawnPoint({ shape = "dot", resource, size = 9, hollow, alarm, label, about }, [x, y], k) {
  return s(
    "g",
    { class: `point ${shape}` },
    about ? s("title", {}, about) : null,
    alarm ? circle([x, y], 1.5 * size * k, "alarm") : null,
    mark(shape, resource, [x, y], size * k, hollow ? "failed" : ""),
    label ? s("text", { x, y, dy: "0.36em" }, label) : null,
  );
}

function mark(shape, resource, [x, y], r, state) {
  const colour = resource === undefined || resource === null ? null : colourOf(resource);
  if (shape === "marker") return marker(resource ?? 0, x, y, r, state);
  if (shape === "star") return s("path", { class: "star", transform: `translate(${x} ${y}) scale(${r})`, d: STAR });
  return s("circle", { cx: x, cy: y, r, class: `${shape} ${state}`, stroke: colour, fill: shape === "dot" ? colour : null });
}

function colourOf(resource) {
  return resource < 0 ? "var(--quiet)" : resourceColour(resource);
}

function drawnBar({ share, label, about }, [x, y], k) {
  const [width, height] = BAR.map((size) => size * k);
  const frame = { x: x - width / 2, width };
  return s(
    "g",
    { class: "bar" },
    about ? s("title", {}, about) : null,
    s("rect", { ...frame, y: y - height, height, class: "frame" }),
    s("rect", { ...frame, y: y - share * height, height: share * height, class: "filling" }),
    label ? s("text", { x, y: y + 0.4 * height, class: "small" }, label) : null,
  );
}

function drawnLabel({ text, boxed }, [x, y], k) {
  if (!boxed) return s("text", { x, y, dy: "0.36em" }, text);
  const width = Math.max(70, 14 * text.length + 20);
  return s(
    "g",
    { class: "boxed", transform: `translate(${x} ${y}) scale(${k})`, "font-size": FONT },
    s("rect", { x: -width / 2, y: -20, width, height: 40, rx: 8 }),
    s("text", { dy: "0.36em" }, text),
  );
}

/** A length of 1, 10, 100, ... units in the lower left corner. */
function scaleBar({ left, right, top, bottom, unit }, scale) {
  const length = 10 ** Math.floor(Math.log10((right - left) / 4));
  const [x, y] = [14, (top - bottom) * scale - 16];
  return s(
    "g",
    { class: "scale" },
    s("path", { d: `M${x} ${y - 8}v8h${length * scale}v-8` }),
    s("text", { x: x + 6, y: y - 12 }, `${length} ${unit}`),
  );
}
