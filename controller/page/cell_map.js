// The map of the world d2d_underlay: the BS, cellular users and pairs; who is on the same resource block.

import { h, s } from "./element.js";
import { mark, sample } from "./marks.js";
import { figure } from "./numbers.js";
import { resource } from "./palette.js";
import { table } from "./table.js";

const HALF = 500; // of the drawing, in its own units
const MOST_NAMED = 60;

/** What `shown` of a picture looks like, its marks `k` times as large: drawing, legend, table, summary. */
export function cellMap(shown, k) {
  const scale = (HALF * 0.94) / shown.radius_m;
  const at = ([x, y]) => [x * scale, -y * scale];
  const pairs = shown.rb.map((rb, n) => ({ n, rb, tx: at(shown.tx_m[n]), rx: at(shown.rx_m[n]) }));
  const out = shown.cue_outage.filter(Boolean).length;
  const silent = shown.rb.filter((rb) => rb < 0).length;
  return {
    letters: 20 * k,
    drawing: s(
      "svg",
      { viewBox: `${-HALF} ${-HALF} ${2 * HALF} ${2 * HALF}`, class: "map" },
      s("circle", { r: shown.radius_m * scale, class: "bound" }),
      pairs.filter(({ rb }) => rb >= 0).map(({ rb, tx }) => reuse(tx, at(shown.cue_m[rb]), rb)),
      shown.cue_m.map((place, rb) => cue(at(place), rb, shown, k)),
      pairs.map((pair) => drawnPair(pair, shown, k)),
      s("path", { class: "station", transform: `scale(${k})`, d: "M0 -20L5.5 -6.5L20 -6.5L8.5 3L12.5 18L0 9L-12.5 18L-8.5 3L-20 -6.5L-5.5 -6.5Z" }, s("title", {}, "BS")),
      scaleBar(shown.radius_m, scale),
    ),
    summary: `${pairs.length} pairs, ${silent} of them silent; ${out} of ${shown.cue_m.length} cellular users in outage.`,
    legend: legend(),
    table: table("Resource blocks", [["RB", "number"], ["cellular user [bit/s/Hz]", "number"], ["pairs on it, with their rates", ""]], rows(shown)),
  };
}

function reuse([x1, y1], [x2, y2], rb) {
  return s("line", { x1, y1, x2, y2, class: "reuse", stroke: resource(rb) });
}

function cue([x, y], rb, shown, k) {
  const isOut = shown.cue_outage[rb];
  const about = `cue-${rb} on RB ${rb}: ${figure(shown.cue_rate_bps_hz[rb])} bit/s/Hz${isOut ? ", in outage" : ""}`;
  return s(
    "g",
    { transform: `translate(${x} ${y})`, class: "cue" },
    s("title", {}, about),
    isOut && s("circle", { r: 25 * k, class: "outage" }),
    s("circle", { r: 17 * k, stroke: resource(rb) }),
    s("text", { dy: "0.36em" }, String(rb)),
  );
}

function drawnPair({ n, rb, tx, rx }, shown, k) {
  const colour = rb < 0 ? "var(--quiet)" : resource(rb);
  const far = Math.hypot(tx[0] - rx[0], tx[1] - rx[1]) || 1;
  const [dx, dy] = [(tx[0] - rx[0]) / far, (tx[1] - rx[1]) / far];
  const what = rb < 0 ? "silent" : `RB ${rb}, ${figure(shown.rate_bps_hz[n])} bit/s/Hz${shown.outage[n] ? ", in outage" : ""}`;
  return s(
    "g",
    { class: "pair" },
    s("title", {}, `pair-${n}: ${what}`),
    s("line", { x1: tx[0], y1: tx[1], x2: rx[0], y2: rx[1], stroke: colour }),
    s("circle", { cx: rx[0], cy: rx[1], r: 6 * k, stroke: colour }),
    mark(rb, tx[0], tx[1], 9 * k),
    shown.rb.length <= MOST_NAMED && s("text", { x: tx[0] + 24 * k * dx, y: tx[1] + 24 * k * dy, dy: "0.36em" }, String(n)),
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
  const small = (...parts) => s("svg", { class: "sample", viewBox: "-10 -10 20 20", width: 16, height: 16, "aria-hidden": "true" }, parts);
  const ring = (r, name) => s("circle", { r, class: name });
  const item = (sign, text) => h("li", {}, sign, " ", text);
  return h(
    "ul",
    { class: "legend" },
    item(small(s("path", { class: "station", d: "M0 -9L2.5 -3L9 -3L4 1.5L5.5 8L0 4L-5.5 8L-4 1.5L-9 -3L-2.5 -3Z" })), "BS"),
    item(small(ring(7, "ring")), "cellular user, with its RB"),
    item(small(ring(8, "outage")), "in outage"),
    item(sample(0), "transmitter of a pair: shape and colour of its RB"),
    item(small(ring(4, "ring")), "its receiver"),
    item(sample(-1), "silent"),
    item(small(s("line", { x1: -9, y1: 0, x2: 9, y2: 0, class: "reuse", stroke: "currentColor" })), "disturbs the user of the same RB"),
  );
}

function rows(shown) {
  const on = (rb) => shown.rb.map((used, n) => [used, n]).filter(([used]) => used === rb);
  const pairs = (rb) => on(rb).map(([, n]) => `pair-${n} (${figure(shown.rate_bps_hz[n])})`).join(", ") || "none";
  const named = shown.cue_rate_bps_hz.map((rate, rb) => [
    h("span", { class: "sign" }, sample(rb), ` ${rb}`),
    `${figure(rate)}${shown.cue_outage[rb] ? ", in outage" : ""}`,
    pairs(rb),
  ]);
  return on(-1).length ? [...named, [h("span", { class: "sign" }, sample(-1), " silent"), "–", on(-1).map(([, n]) => `pair-${n}`).join(", ")]] : named;
}
