// Notices instead of content: it is loading, there is none, or it cannot be loaded.

import { UnreachableError } from "./api.js";
import { h } from "./dom.js";

/** Content that is loading. */
export function loading(what) {
  return h("p", { class: "notice", role: "status" }, `Loading ${what} …`);
}

/** A plain notice. */
export function notice(text, ...more) {
  return h("p", { class: "notice" }, text, ...more);
}

/** Content that cannot be loaded, and why. */
export function failure(error) {
  if (error instanceof UnreachableError) return notice("The controller does not answer. The page retries by itself.");
  if (error.status === 401) {
    const reload = () => window.dispatchEvent(new Event("hashchange"));
    const button = h("button", { type: "button", onclick: reload }, "Enter the token");
    return notice("This controller requires a token. ", button);
  }
  return h("p", { class: "notice bad", role: "alert" }, error.message);
}
