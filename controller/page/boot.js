// Loads the page. When a part of it does not come, as the network has just changed, it is tried again.

import("./main.js").catch((error) => {
  document.getElementById("connection").textContent = "The page could not be loaded whole. It is tried again.";
  if (error instanceof TypeError) setTimeout(() => location.reload(), 2000);
  else throw error;
});
