// The markers of maps: a shape and a colour for each resource, so that resources do not differ by colour alone.

import { s } from "./dom.js";
import { resourceColour } from "./palette.js";

const SHAPES = [
  (r) => `M${-r} 0A${r} ${r} 0 1 0 ${r} 0A${r} ${r} 0 1 0 ${-r} 0Z`,
  (r) => square(r * 0.9),
  (r) => `M0 ${-1.2 * r}L${1.2 * r} 0L0 ${1.2 * r}L${-1.2 * r} 0Z`,
  (r) => `M0 ${-1.2 * r}L${1.15 * r} ${0.85 * r}L${-1.15 * r} ${0.85 * r}Z`,
  (r) => `M0 ${1.2 * r}L${1.15 * r} ${-0.85 * r}L${-1.15 * r} ${-0.85 * r}Z`,
];

/** The marker of the n-th resource at a point, with radius `r`; n = -1 is no transmission, a grey cross. */
export function marker(n, x, y, r, state = "") {
  const transform = `translate(${x} ${y})`;
  if (n < 0) return s("path", { transform, class: "silent", d: `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}` });
  return s("path", { transform, class: `marker ${state}`, d: SHAPES[n % SHAPES.length](r), fill: resourceColour(n) });
}

/** A small drawing for an entry of a legend. */
export function symbol(...parts) {
  const about = { class: "symbol", viewBox: "-10 -10 20 20", width: 16, height: 16, "aria-hidden": "true" };
  return s("svg", about, parts);
}

function square(r) {
  return `M${-r} ${-r}H${r}V${r}H${-r}Z`;
}
