// Announcements for screen readers: changes of state, but nothing that changes all the time.

import { setText } from "./dom.js";

const CLEARED_AFTER_MS = 5000;
let clearing = 0;

/** Announce one sentence, politely. */
export function announce(text) {
  const region = document.getElementById("announcements");
  setText(region, text);
  clearTimeout(clearing);
  clearing = setTimeout(() => setText(region, ""), CLEARED_AFTER_MS);
}
