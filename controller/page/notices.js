// What stands in place of something that is not there: not yet, or not at all.

import { LostError } from "./api.js";
import { h } from "./element.js";

/** It comes. */
export function loading(what) {
  return h("p", { class: "notice", role: "status" }, `Loading ${what} …`);
}

/** There is nothing, and what can be done about it. */
export function nothing(text, ...more) {
  return h("p", { class: "notice" }, text, ...more);
}

/** It cannot be had, and why. */
export function failure(error) {
  if (error instanceof LostError) return nothing("The controller does not answer. The page tries again by itself.");
  if (error.status === 401) {
    const again = h("button", { type: "button", onclick: () => window.dispatchEvent(new Event("hashchange")) }, "Enter the token");
    return nothing("This controller asks for a token. ", again);
  }
  return h("p", { class: "notice bad", role: "alert" }, error.message);
}
