// The marks of maps: a shape and a colour for each resource, so that colour alone tells nothing.

import { s } from "./element.js";
import { resource } from "./palette.js";

const SHAPES = [
  (r) => `M${-r} 0A${r} ${r} 0 1 0 ${r} 0A${r} ${r} 0 1 0 ${-r} 0Z`,
  (r) => box(r * 0.9),
  (r) => `M0 ${-1.2 * r}L${1.2 * r} 0L0 ${1.2 * r}L${-1.2 * r} 0Z`,
  (r) => `M0 ${-1.2 * r}L${1.15 * r} ${0.85 * r}L${-1.15 * r} ${0.85 * r}Z`,
  (r) => `M0 ${1.2 * r}L${1.15 * r} ${-0.85 * r}L${-1.15 * r} ${-0.85 * r}Z`,
];

/** The mark of the n-th resource at a place; -1 is silence, a grey cross. */
export function mark(n, x, y, r, kind = "") {
  const place = { transform: `translate(${x} ${y})` };
  if (n < 0) return s("path", { ...place, class: "silent", d: `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}` });
  return s("path", { ...place, class: `mark ${kind}`, d: SHAPES[n % SHAPES.length](r), fill: resource(n) });
}

/** A mark on a ground of its own, for a legend. */
export function sample(n) {
  return s("svg", { class: "sample", viewBox: "-10 -10 20 20", width: 16, height: 16, "aria-hidden": "true" }, mark(n, 0, 0, 6));
}

function box(r) {
  return `M${-r} ${-r}H${r}V${r}H${-r}Z`;
}
