// Whether the controller answers. While it does not, a banner says so once, and again when it is back.

import { tell } from "./element.js";

const SHOWN_MS = 4000;
let isLost = false;

/** The controller could not be reached. */
export function lost() {
  if (isLost) return;
  isLost = true;
  show("lost", "Connection lost. What you see is as it was; the page tries to come back by itself.");
}

/** The controller answered. */
export function back() {
  if (!isLost) return;
  isLost = false;
  show("back", "Connected again.");
  setTimeout(() => isLost || show("", ""), SHOWN_MS);
}

function show(state, text) {
  const banner = document.getElementById("connection");
  banner.dataset.state = state;
  tell(banner, text);
}
