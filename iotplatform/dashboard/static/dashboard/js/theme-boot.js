// Runs before the first paint, so that a dark page does not flash white. Not a module: those run too late.
(function () {
  let chosen = "auto";
  try {
    chosen = localStorage.getItem("theme") || "auto";
  } catch (refused) {
    console.info("This browser keeps nothing for us: the scheme follows the system.", refused);
  }
  const dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
  document.documentElement.dataset.theme = chosen;
})();
