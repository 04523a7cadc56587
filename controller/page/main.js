// Routes: the part of the address after # names the one view that is shown.

import { show as compare } from "./compare.js";
import { fill, h } from "./dom.js";
import { show as newRun } from "./new_run.js";
import { notice } from "./notices.js";
import { show as run } from "./run.js";
import { show as runs } from "./runs.js";
import { start as startTheme } from "./theme.js";

let view = new AbortController(); // aborted when the view is left
let shownHash = null;

/** The view of an address: the navigation entry it belongs to, the function that shows it, that function's argument. */
function route(hash) {
  const [path, search] = hash.replace(/^#/, "").split("?");
  const query = new URLSearchParams(search);
  const [, first, second] = (path || "/").split("/");
  if (!first) return ["runs", runs, query];
  if (first === "new") return ["new", newRun, query];
  if (first === "compare") return ["runs", compare, query];
  if (first === "runs" && second) return ["runs", run, decoded(second)];
  return ["", notFound, path];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function showView() {
  view.abort();
  view = new AbortController();
  const [entry, show, argument] = route(location.hash);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === entry) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const main = document.getElementById("main");
  fill(main);
  show(main, argument, view.signal);
  const heading = main.querySelector("h1");
  document.title = `${heading.textContent} · airtoll`;
  heading.tabIndex = -1;
  // The browser itself sets the focus at the first load; afterwards a screen reader reads the focused heading.
  if (shownHash !== null) heading.focus({ preventScroll: true });
  if (shownHash !== location.hash) scrollTo(0, 0);
  shownHash = location.hash;
}

function notFound(main, path) {
  main.append(h("h1", {}, "Not found"), notice(`The page has no view ${path}. `, h("a", { href: "#/" }, "All runs")));
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
window.addEventListener("hashchange", showView);
startTheme(document.getElementById("theme"));
showView();
