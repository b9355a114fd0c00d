// What every page loads.
import "./theme.js";
import "./times.js";
import "./live.js";
import "./keys.js";
import "./status.js";
import { toast } from "./api.js";

// [data-copy="#id"] puts the text of another element on the clipboard.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
    toast("Copied.", undefined, 3);
  } catch {
    // Without HTTPS there is no clipboard: select it, so that one key copies it.
    getSelection().selectAllChildren(document.querySelector(button.dataset.copy));
    toast("Selected: press Ctrl-C to copy.", undefined, 5);
  }
});

// A select or a checkbox in form[data-auto] sends the form at once; empty fields stay out of the address.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (form) form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[method=get], form[data-auto]")) return;
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
});
window.addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-auto] :disabled")) field.disabled = false;
});
