// The banner about the connection: shown once when the controller stops answering, and once when it answers again.

import { setText } from "./dom.js";

const SHOWN_MS = 4000;
let isLost = false;

/** A request failed. */
export function lost() {
  if (isLost) return;
  isLost = true;
  show("lost", "Connection lost. The page shows the last data it received and reconnects by itself.");
}

/** A request succeeded. */
export function restored() {
  if (!isLost) return;
  isLost = false;
  show("restored", "Connected again.");
  setTimeout(() => isLost || show("", ""), SHOWN_MS);
}

function show(state, text) {
  const banner = document.getElementById("connection");
  banner.dataset.state = state;
  setText(banner, text);
}
