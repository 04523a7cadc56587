// The theme: light, dark, or the system's. Drawings listen for the document's event "themechange".

const KEY = "airtoll-theme";

/** Follow the select element and the system. */
export function start(select) {
  select.value = localStorage.getItem(KEY) ?? "auto";
  select.addEventListener("change", () => {
    localStorage.setItem(KEY, select.value);
    apply(select.value);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", notify);
  apply(select.value);
}

/** Whether the page is dark now. */
export function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function apply(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  notify();
}

function notify() {
  document.dispatchEvent(new Event("themechange"));
}
