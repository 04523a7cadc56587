// Colours that colour-blind people can distinguish, and dashes, markers and patterns for those who see none.

import { isDark } from "./theme.js";

// Okabe and Ito, Color Universal Design, 2008; lighter on dark backgrounds.
const LIGHT = ["#0072b2", "#d55e00", "#00805e", "#a3487d", "#8a6100", "#5d3a9b", "#3b3b3b", "#2c7fa8"];
const DARK = ["#56b4e9", "#ff8f4a", "#2cc295", "#e59bc6", "#e6b93c", "#b9a3f5", "#d0d0d0", "#9bd3f5"];
// Petroff, Accessible color sequences for data visualization, 2021: for ten or more resources.
const TEN_LIGHT = [
  "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
];
const TEN_DARK = [
  "#6db3f2", "#ffa90e", "#ff6b57", "#b8c4c2", "#b983e6", "#d19a86", "#ff9a4d", "#d8cd86", "#9ea0b0", "#92dadd",
];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const MARKERS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star"];
const PATTERNS = ["", "/", "x", ".", "\\", "|", "-", "+"];

/** The colour, dash, marker and pattern of the n-th series. */
export function series(n) {
  const colours = isDark() ? DARK : LIGHT;
  const nth = (list) => list[n % list.length];
  return { colour: nth(colours), dash: nth(DASHES), marker: nth(MARKERS), pattern: nth(PATTERNS) };
}

/** The colour of the n-th resource. */
export function resourceColour(n) {
  const ten = isDark() ? TEN_DARK : TEN_LIGHT;
  return ten[n % ten.length];
}
