// The states of runs, each with a symbol and a word, so that they do not differ by colour alone.

import { h } from "./dom.js";

const SYMBOLS = {
  PENDING: "◷",
  RUNNING: "▶",
  PAUSED: "‖",
  STOPPING: "◌",
  SUCCEEDED: "✓",
  FAILED: "✕",
  STOPPED: "■",
};
const FINAL_STATES = ["SUCCEEDED", "FAILED", "STOPPED"];

export const STATES = Object.keys(SYMBOLS);

/** Whether a run in this state has ended. */
export function hasEnded(state) {
  return FINAL_STATES.includes(state);
}

/** Which requests a run in this state accepts. */
export function allowed(state) {
  return {
    pause: state === "RUNNING",
    resume: state === "PAUSED",
    stop: ["PENDING", "RUNNING", "PAUSED"].includes(state),
    delete: hasEnded(state),
  };
}

/** A state as symbol and word. */
export function badge(state) {
  const symbol = h("span", { "aria-hidden": "true" }, SYMBOLS[state] ?? "?");
  return h("span", { class: "badge", "data-state": state }, symbol, ` ${state.toLowerCase()}`);
}
