// Light, dark, or as the system has it. Fires "theme:changed" on document, for what is drawn and not styled.
import { keep, recall } from "./keep.js";

const system = matchMedia("(prefers-color-scheme: dark)");

function apply(chosen) {
  const root = document.documentElement;
  root.dataset.theme = chosen;
  root.dataset.bsTheme = chosen === "dark" || (chosen === "auto" && system.matches) ? "dark" : "light";
  for (const button of document.querySelectorAll("[data-set-theme]")) {
    button.setAttribute("aria-pressed", String(button.dataset.setTheme === chosen));
  }
  document.dispatchEvent(new CustomEvent("theme:changed"));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-set-theme]");
  if (!button) return;
  keep("theme", button.dataset.setTheme);
  apply(button.dataset.setTheme);
});
system.addEventListener("change", () => apply(recall("theme", "auto")));
apply(recall("theme", "auto"));

/** The value of a CSS custom property as it is now, such as token("--accent"). */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
