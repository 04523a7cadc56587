// Loads the page. If a module fails to load, because the network has just changed, the page reloads itself.

const RELOAD_AFTER_MS = 2000;

import("./main.js").catch((error) => {
  document.getElementById("connection").textContent = "Part of the page failed to load. Reloading …";
  // A failed download of a module is a TypeError; any other error is a defect, which a reload would only hide.
  if (error instanceof TypeError) setTimeout(() => location.reload(), RELOAD_AFTER_MS);
  else throw error;
});
