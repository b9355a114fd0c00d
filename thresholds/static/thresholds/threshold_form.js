// The form of a threshold: only the fields that count are shown, its sentence is said while one types, and a preview is
// drawn without leaving the page. Without this script everything can still be filled in and saved.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("threshold_form");
  if (!form || !form.elements.scope_kind) return;
  const panel = document.querySelector("[data-preview]");
  const RANGES = ["outside", "inside"];
  const NO_CLEAR = ["equal", "not_equal", "silent"];
  // With what they say when they do not count.
  const NOT_SILENT = { for_seconds: "", consecutive: "1", clear_for_seconds: "", max_gap_seconds: "", gap_policy: "reset" };

  // What is hidden must say nothing: its value waits until it is shown again.
  const count = (input, counts, unset) => {
    if (counts && input.dataset.kept !== undefined) {
      input.value = input.dataset.kept;
      delete input.dataset.kept;
    } else if (!counts && input.dataset.kept === undefined) {
      input.dataset.kept = input.value;
      input.value = unset;
    }
  };

  const show = (name, shown) => {
    const input = form.elements[name];
    const line = input && input.closest && input.closest(".field-line");
    if (line) line.style.display = shown ? "" : "none";
    const set = input && input.closest && input.closest("fieldset.module");
    if (!set) return;
    const lines = [...set.querySelectorAll(".field-line")];
    set.style.display = lines.every((each) => each.style.display === "none") ? "none" : "";
  };

  const arrange = () => {
    const kind = form.elements.scope_kind.value;
    for (const name of ["device", "device_type", "group"]) show(name, name === kind);
    const condition = form.elements.condition.value;
    form.classList.toggle("thresholds-one-value", !RANGES.includes(condition));
    form.classList.toggle("thresholds-no-clear", NO_CLEAR.includes(condition));
    for (const [name, unset] of Object.entries(NOT_SILENT)) {
      show(name, condition !== "silent");
      if (form.elements[name]) count(form.elements[name], condition !== "silent", unset);
    }
    for (const input of form.querySelectorAll("[name$='-clear'], [name$='-clear_high']")) {
      count(input, !NO_CLEAR.includes(condition), "");
    }
    for (const each of form.querySelectorAll("[data-of]")) each.hidden = each.dataset.of !== condition;
    const unit = form.querySelector("[data-unit-of-values]");
    if (unit) unit.hidden = condition === "silent";
  };

  const draft = () => {
    const data = new FormData(form);
    data.set("threshold", panel.dataset.threshold);
    return data;
  };

  const post = (url, data, signal) =>
    fetch(url, { method: "POST", body: data, signal, credentials: "same-origin", headers: { "X-Requested-With": "fetch" } });

  let waiting = null;
  let asked = null;
  const say = () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      if (asked) asked.abort();
      asked = new AbortController();
      const box = document.querySelector("[data-sentence]");
      try {
        const answer = await post(panel.dataset.sentenceUrl, draft(), asked.signal);
        if (!answer.ok) return;
        const { sentence, unit } = await answer.json();
        box.classList.toggle("waiting", !sentence);
        if (sentence) {
          box.hidden = false;
          box.querySelector("[data-sentence-text]").textContent = sentence;
        }
        const place = form.querySelector("[data-unit-of-values]");
        if (place) {
          place.textContent = unit ? "Values are in " : "";
          if (unit) place.append(Object.assign(document.createElement("b"), { textContent: unit }), ".");
        }
      } catch (error) {
        if (error.name !== "AbortError") box.classList.add("waiting");
      }
    }, 350);
  };

  const preview = async (series) => {
    const result = panel.querySelector("[data-preview-result]");
    const button = panel.querySelector("[data-preview-button]");
    const data = draft();
    for (const name of ["days", "until"]) data.set(name, panel.querySelector(`[name="${name}"]`).value);
    if (series) data.set("series", series);
    button.disabled = true;
    result.setAttribute("aria-busy", "true");
    try {
      const answer = await post(panel.dataset.previewUrl, data);
      result.innerHTML = answer.ok ? await answer.text() : '<p class="thresholds-problem">The preview could not be made; try again shortly.</p>';
    } catch {
      result.innerHTML = '<p class="thresholds-problem">The server does not answer; try again shortly.</p>';
    } finally {
      button.disabled = false;
      result.removeAttribute("aria-busy");
    }
  };

  form.addEventListener("input", () => { arrange(); if (panel) say(); });
  form.addEventListener("change", () => { arrange(); if (panel) say(); });
  // The fields that search (select2) tell jQuery only.
  if (window.django && window.django.jQuery) window.django.jQuery(form).on("select2:select select2:clear", () => panel && say());
  document.addEventListener("formset:added", arrange);
  document.addEventListener("formset:removed", () => panel && say());
  if (panel) {
    panel.querySelector("[data-preview-button]").addEventListener("click", () => preview());
    panel.addEventListener("click", (event) => {
      const link = event.target.closest("[data-series]");
      if (!link) return;
      event.preventDefault();
      preview(link.dataset.series);
    });
  }
  // What says something is not folded away, and what is wrong neither.
  for (const folded of form.querySelectorAll("details")) {
    const told = [...folded.querySelectorAll("input:not([type=hidden]), textarea, select")];
    const says = told.some((each) => each.value && each.name !== "schedule_zone" && each.value !== NOT_SILENT[each.name]);
    folded.open ||= says || folded.querySelector(".errors, .errorlist") !== null;
  }
  arrange();
});
