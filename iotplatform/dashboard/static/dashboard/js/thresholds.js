// The list of thresholds: on and off in one click, with a way back.
import { ApiError, patch, toast } from "./api.js";

async function set(button, enabled) {
  const { name } = button.dataset;
  button.disabled = true;
  try {
    await patch(`/api/v1/thresholds/${button.dataset.switch}`, { enabled });
    show(button, enabled);
    const open = Number(button.dataset.openAlerts);
    const closes = !enabled && open ? ` Its ${open} open alert${open === 1 ? " is" : "s are"} closed within seconds.` : "";
    toast(`${name} is ${enabled ? "on" : "off"}.${closes}`, { label: "Undo", run: () => set(button, !enabled) });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message);
  } finally {
    button.disabled = false;
    button.focus({ preventScroll: true });
  }
}

function show(button, enabled) {
  button.setAttribute("aria-checked", String(enabled));
  button.querySelector(".switch-text").textContent = enabled ? "on" : "off";
  button.closest("tr").classList.toggle("is-off", !enabled);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-switch]");
  if (button) set(button, button.getAttribute("aria-checked") !== "true");
});
