// The head of a run's view: its state, its progress, the buttons, and a few properties.

import { fill, h, setText } from "./dom.js";
import { dateTime, integer } from "./format.js";
import { allowed, badge } from "./states.js";

const BUTTONS = { pause: "Pause", resume: "Resume", stop: "Stop", delete: "Delete" };
const QUEUED = "The run is queued until the runs before it have ended.";

export class RunHead {
  /** `onAction(action)` is called when an enabled button is pressed. */
  constructor(run, onAction) {
    this.buttons = Object.fromEntries(Object.keys(BUTTONS).map((action) => [action, button(action, onAction)]));
    this.state = h("span", {});
    this.bar = h("progress", { "aria-label": "Slots done" });
    this.progress = h("span", {});
    this.reason = h("p", { class: "reason", hidden: true });
    this.error = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.properties = h("dl", { class: "properties" });
    this.element = h(
      "section",
      { class: "card run-head", "aria-label": "State" },
      h(
        "div",
        { class: "head" },
        h("div", { class: "status" }, this.state, this.bar, this.progress),
        h("div", { class: "buttons" }, Object.values(this.buttons)),
      ),
      this.reason,
      this.error,
      this.properties,
    );
    this.update(run);
  }

  /** Show a run as it is now. */
  update(run) {
    if (this.shownState !== run.state) fill(this.state, badge(run.state));
    this.shownState = run.state;
    this.bar.max = Math.max(1, run.slots);
    this.bar.value = run.slot;
    setText(this.progress, `slot ${integer(run.slot)} of ${integer(run.slots)}`);
    this.updateReason(run);
    for (const [action, isAllowed] of Object.entries(allowed(run.state))) {
      this.buttons[action].setAttribute("aria-disabled", String(!isAllowed));
    }
    this.updateProperties(run);
  }

  /** Show an error until the next one; "" removes it. */
  showError(text) {
    this.error.hidden = !text;
    setText(this.error, text);
  }

  updateReason({ state, reason }) {
    const text = reason || (state === "PENDING" ? QUEUED : "");
    this.reason.hidden = !text;
    this.reason.classList.toggle("bad", state === "FAILED");
    setText(this.reason, state === "FAILED" ? `Why it failed: ${text}` : text);
  }

  updateProperties(run) {
    const properties = {
      world: run.world,
      scheme: run.scheme,
      seed: String(run.seed),
      placement: run.config.placement,
      started: dateTime(run.started),
      ended: dateTime(run.ended),
    };
    const text = JSON.stringify(properties);
    if (text === this.properties.dataset.text) return;
    this.properties.dataset.text = text;
    const item = ([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    fill(this.properties, Object.entries(properties).map(item));
  }
}

/** Disabled by aria-disabled, not by `disabled`: a button that has the focus keeps it when the state changes. */
function button(action, onAction) {
  const onclick = (event) => event.currentTarget.getAttribute("aria-disabled") === "true" || onAction(action);
  return h("button", { type: "button", class: action === "delete" ? "danger" : null, onclick }, BUTTONS[action]);
}
