// The form of an export: what belongs to a choice shows with it only.
const form = document.querySelector("[data-export-form]");

function show() {
  const chosen = new Set([form.elements.every.value, form.elements.period.value]);
  for (const part of form.querySelectorAll("[data-of]")) part.hidden = !chosen.has(part.dataset.of);
}

form.addEventListener("change", (event) => {
  // A day's file about a week would be the same seven times.
  if (event.target === form.elements.period && event.target.value === "last_week") form.elements.every.value = "weekly";
  show();
});
show();
