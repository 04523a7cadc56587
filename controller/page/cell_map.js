// The map of the world d2d_underlay: the BS, cellular users (CUEs) and D2D pairs with their resource blocks (RBs).

import { h, s } from "./dom.js";
import { number } from "./format.js";
import { marker, markerSymbol, symbol } from "./markers.js";
import { resourceColour } from "./palette.js";
import { table } from "./table.js";

const HALF = 500; // half the drawing's width, in its own units
const CELL = 0.94; // the cell's share of that width
const MAX_LABELLED_PAIRS = 60;
const FONT = 20;
const COLUMNS = [["RB", "number"], ["cellular user [bit/s/Hz]", "number"], ["pairs on it, with their rates", ""]];
const STAR = "M0 -20L5.5 -6.5L20 -6.5L8.5 3L12.5 18L0 9L-12.5 18L-8.5 3L-20 -6.5L-5.5 -6.5Z";

/** Drawing, font size, legend, table and summary of a `map`; markers are `k` times as large. */
export function cellMap(map, k) {
  const scale = (HALF * CELL) / map.radius_m;
  const at = ([x, y]) => [x * scale, -y * scale];
  const pairs = map.rb.map((rb, n) => ({ n, rb, tx: at(map.tx_m[n]), rx: at(map.rx_m[n]) }));
  const active = pairs.filter(({ rb }) => rb >= 0);
  const outages = map.cue_outage.filter(Boolean).length;
  return {
    fontSize: FONT * k,
    drawing: s(
      "svg",
      { viewBox: `${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}`, class: "map" },
      s("circle", { r: map.radius_m * scale, class: "cell" }),
      active.map(({ rb, tx }) => reuse(tx, at(map.cue_m[rb]), rb)),
      map.cue_m.map((point, rb) => cellularUser(at(point), rb, map, k)),
      pairs.map((pair) => drawnPair(pair, map, k)),
      s("path", { class: "station", transform: `scale(${k})`, d: STAR }, s("title", {}, "BS")),
      scaleBar(map.radius_m, scale),
    ),
    summary:
      `${pairs.length} pairs, ${pairs.length - active.length} of them silent; ` +
      `${outages} of ${map.cue_m.length} cellular users in outage.`,
    legend: legend(),
    table: table("Resource blocks", COLUMNS, rows(map)),
  };
}

function reuse([x1, y1], [x2, y2], rb) {
  return s("line", { x1, y1, x2, y2, class: "reuse", stroke: resourceColour(rb) });
}

function cellularUser([x, y], rb, map, k) {
  const isOut = map.cue_outage[rb];
  const title = `cue-${rb} on RB ${rb}: ${number(map.cue_rate_bps_hz[rb])} bit/s/Hz${isOut ? ", in outage" : ""}`;
  return s(
    "g",
    { transform: `translate(${x} ${y})`, class: "cue" },
    s("title", {}, title),
    isOut && s("circle", { r: 25 * k, class: "outage" }),
    s("circle", { r: 17 * k, stroke: resourceColour(rb) }),
    s("text", { dy: "0.36em" }, String(rb)),
  );
}

function drawnPair({ n, rb, tx, rx }, map, k) {
  const colour = rb < 0 ? "var(--quiet)" : resourceColour(rb);
  const distance = Math.hypot(tx[0] - rx[0], tx[1] - rx[1]) || 1;
  const [dx, dy] = [(tx[0] - rx[0]) / distance, (tx[1] - rx[1]) / distance];
  const outage = map.outage[n] ? ", in outage" : "";
  const state = rb < 0 ? "silent" : `RB ${rb}, ${number(map.rate_bps_hz[n])} bit/s/Hz${outage}`;
  const isLabelled = map.rb.length <= MAX_LABELLED_PAIRS;
  return s(
    "g",
    { class: "pair" },
    s("title", {}, `pair-${n}: ${state}`),
    s("line", { x1: tx[0], y1: tx[1], x2: rx[0], y2: rx[1], stroke: colour }),
    s("circle", { cx: rx[0], cy: rx[1], r: 6 * k, stroke: colour }),
    marker(rb, tx[0], tx[1], 9 * k),
    isLabelled && s("text", { x: tx[0] + 24 * k * dx, y: tx[1] + 24 * k * dy, dy: "0.36em" }, String(n)),
  );
}

function scaleBar(radius_m, scale) {
  const length_m = 10 ** Math.floor(Math.log10(radius_m / 2));
  const [x, y] = [-HALF + 14, HALF - 16];
  return s(
    "g",
    { class: "scale" },
    s("path", { d: `M${x} ${y - 8}v8h${length_m * scale}v-8` }),
    s("text", { x: x + 6, y: y - 12 }, `${length_m} m`),
  );
}

function legend() {
  const ring = (r, name) => symbol(s("circle", { r, class: name }));
  const line = symbol(s("line", { x1: -9, y1: 0, x2: 9, y2: 0, class: "reuse", stroke: "currentColor" }));
  const items = [
    [symbol(s("path", { class: "station", transform: "scale(0.45)", d: STAR })), "BS"],
    [ring(7, "ring"), "cellular user, with its RB"],
    [ring(8, "outage"), "in outage"],
    [markerSymbol(0), "transmitter of a pair, in its RB's shape and colour"],
    [ring(4, "ring"), "its receiver"],
    [markerSymbol(-1), "silent"],
    [line, "interferes with the cellular user of its RB"],
  ];
  return h("ul", { class: "legend" }, items.map(([sign, text]) => h("li", {}, sign, ` ${text}`)));
}

function rows(map) {
  const pairsOn = (rb) => map.rb.flatMap((used, n) => (used === rb ? [n] : []));
  const withRates = (pairs) => pairs.map((n) => `pair-${n} (${number(map.rate_bps_hz[n])})`).join(", ") || "none";
  const head = (rb, text) => h("span", { class: "sign" }, markerSymbol(rb), ` ${text}`);
  const perBlock = map.cue_rate_bps_hz.map((rate, rb) => [
    head(rb, rb),
    `${number(rate)}${map.cue_outage[rb] ? ", in outage" : ""}`,
    withRates(pairsOn(rb)),
  ]);
  const silent = pairsOn(-1).map((n) => `pair-${n}`).join(", ");
  return silent ? [...perBlock, [head(-1, "silent"), "–", silent]] : perBlock;
}
