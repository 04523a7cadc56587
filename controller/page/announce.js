// What a screen reader says beside the page: changes of state, and nothing that ticks.

import { tell } from "./element.js";

let clearing = 0;

/** Say one sentence, politely. */
export function say(text) {
  const said = document.getElementById("said");
  tell(said, text);
  clearTimeout(clearing);
  clearing = setTimeout(() => tell(said, ""), 5000);
}
