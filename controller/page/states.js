// The states of runs: each with a sign and a word, so that no colour has to tell them apart.

import { h } from "./element.js";

const SIGNS = {
  PENDING: "◷",
  RUNNING: "▶",
  PAUSED: "‖",
  STOPPING: "◌",
  SUCCEEDED: "✓",
  FAILED: "✕",
  STOPPED: "■",
};
const ENDS = ["SUCCEEDED", "FAILED", "STOPPED"];

export const STATES = Object.keys(SIGNS);

/** Whether nothing follows. */
export function hasEnded(state) {
  return ENDS.includes(state);
}

/** What may be asked of a run in a state. */
export function may(state) {
  return {
    pause: state === "RUNNING",
    resume: state === "PAUSED",
    stop: ["PENDING", "RUNNING", "PAUSED"].includes(state),
    remove: hasEnded(state),
  };
}

/** A state in a word, with its sign. */
export function badge(state) {
  const sign = h("span", { "aria-hidden": "true" }, SIGNS[state] ?? "?");
  return h("span", { class: "badge", "data-state": state }, sign, ` ${state.toLowerCase()}`);
}
