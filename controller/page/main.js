// The page: one view at a time, named by what stands behind the # of the address.

import { show as compare } from "./compare.js";
import { show as fresh } from "./new_run.js";
import { nothing } from "./notices.js";
import { show as run } from "./run.js";
import { show as runs } from "./runs.js";
import { begin as beginTheme } from "./theme.js";
import { fill, h } from "./element.js";

let leaving = new AbortController();
let shown = null;

/** The view of an address: its name, how it is shown, and what it is about. */
function chosen(hash) {
  const [path, search] = hash.replace(/^#/, "").split("?");
  const query = new URLSearchParams(search);
  const [, first, second] = (path || "/").split("/");
  if (!first) return ["runs", runs, query];
  if (first === "new") return ["new", fresh, query];
  if (first === "compare") return ["runs", compare, query];
  if (first === "runs" && second) return ["runs", run, decoded(second)];
  return ["", unknown, path];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function enter() {
  leaving.abort();
  leaving = new AbortController();
  const [name, show, about] = chosen(location.hash);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const main = document.getElementById("main");
  fill(main);
  show(main, about, leaving.signal);
  const heading = main.querySelector("h1");
  document.title = `${heading.textContent} · airtoll`;
  heading.tabIndex = -1;
  if (shown !== null) heading.focus({ preventScroll: true });
  if (shown !== location.hash) scrollTo(0, 0);
  shown = location.hash;
}

function unknown(main, path) {
  main.append(h("h1", {}, "Nothing here"), nothing(`The page has no view ${path}. `, h("a", { href: "#/" }, "All runs")));
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
window.addEventListener("hashchange", enter);
beginTheme(document.getElementById("theme"));
enter();
