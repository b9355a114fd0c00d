// Silences: made, ended and deleted.
import { ApiError, patch, post, remove, toast } from "./api.js";
import { Schedule } from "./thresholds_schedule.js";
import { searching } from "./thresholds_search.js";

const form = document.getElementById("silence-form");
const schedule = form && new Schedule(form.querySelector("[data-schedule]"));

document.addEventListener("click", async (event) => {
  if (event.target.closest("[data-toggle-form]")) {
    form.hidden = !form.hidden;
    document.querySelector(".actions [data-toggle-form]").setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) form.elements.reason.focus();
  }
  const end = event.target.closest("[data-end]");
  if (end) await done(end, () => patch(`/api/v1/silences/${end.dataset.end}`, { ends_at: new Date().toISOString() }));
  const gone = event.target.closest("[data-remove]");
  if (gone) await done(gone, () => remove(`/api/v1/silences/${gone.dataset.remove}`));
});

async function done(button, ask) {
  button.disabled = true;
  try {
    await ask();
    location.reload();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message);
    button.disabled = false;
  }
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  for (const line of form.querySelectorAll("[data-error]")) line.hidden = true;
  schedule.clearErrors();
  try {
    await post("/api/v1/silences", said());
    location.assign("/alerts/silences/");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!error.errors.length) toast(error.message);
    for (const { field, detail } of error.errors) show(field || "", detail);
  }
});

/** What the form says; empty fields match everything. */
function said() {
  const body = { reason: form.elements.reason.value.trim(), max_severity: form.elements.max_severity.value };
  for (const name of ["device", "group", "device_type", "metric"]) {
    const value = form.elements[name].value.trim();
    if (value) body[name] = value;
  }
  for (const name of ["starts_at", "ends_at"]) {
    if (form.elements[name].value) body[name] = new Date(form.elements[name].value).toISOString();
  }
  const hours = schedule.read();
  if (hours) body.schedule = hours;
  return body;
}

function show(field, detail) {
  const [head, ...rest] = field.split(".");
  if (head === "schedule" && schedule.show(rest.join("."), detail)) return;
  const line = form.querySelector(`[data-error="${CSS.escape(head)}"]`) || form.querySelector('[data-error=""]');
  line.textContent = detail;
  line.hidden = false;
}

if (form) searching(form);
