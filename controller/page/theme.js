// Light, dark, or as the system is. Who draws by hand listens for "themechange".

const KEY = "airtoll-theme";

/** Follow the switch and the system. */
export function begin(choice) {
  choice.value = localStorage.getItem(KEY) ?? "auto";
  choice.addEventListener("change", () => {
    localStorage.setItem(KEY, choice.value);
    apply(choice.value);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", told);
  apply(choice.value);
}

/** Whether what is seen is dark. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function apply(chosen) {
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  told();
}

function told() {
  document.dispatchEvent(new Event("themechange"));
}
