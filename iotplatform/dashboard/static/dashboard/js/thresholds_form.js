// The form of a threshold: what it says as a document of the REST API, and back; faults shown at their fields.
import { Schedule } from "./thresholds_schedule.js";

const RANGES = ["outside", "inside"];
const NO_CLEAR = ["equal", "not_equal", "silent"];
const UNITS = [86400, 3600, 60];
const HINTS = {
  above: "Not at the value itself: above 80 is false at 80. It clears at its clear value or below; empty: as it opens.",
  at_or_above: "At the value too. It clears below it, or at its clear value; empty: as it opens.",
  below: "Not at the value itself. It clears at its clear value or above; empty: as it opens.",
  at_or_below: "At the value too. It clears above it, or at its clear value; empty: as it opens.",
  equal: "1 is on and 0 is off.", not_equal: "1 is on and 0 is off.",
  outside: "Below the low or above the high value. The clear range lies within it.",
  inside: "From the low to the high value. The clear range lies around it.",
  rate_above: "How much it changes per second between two readings.",
  silent: "How many seconds without a reading. It clears with the next one.",
};
// With what they are sent when they do not count.
const WITHOUT = { for: 0, consecutive: 1, clear_for: 0, max_gap: null, gap_policy: "reset" };

export class Form {
  constructor(form, changed) {
    this.form = form;
    this.levels = form.querySelector("[data-levels]");
    this.template = document.getElementById("level-template");
    this.schedule = new Schedule(form.querySelector("[data-schedule]"), changed);
    form.addEventListener("input", () => { this.arrange(); changed(); });
    form.addEventListener("click", (event) => {
      if (event.target.closest("[data-add-level]")) this.addLevel({ severity: this.nextSeverity(), trigger: null, clear: null }).querySelector("[data-field=trigger]").focus();
      else if (event.target.closest("[data-remove-level]")) event.target.closest("tr").remove();
      else return;
      this.arrange();
      changed();
    });
  }

  field(name) {
    return this.form.elements[name];
  }

  get condition() {
    return this.field("condition").value;
  }

  // --- from the document ----------------------------------------------------------------------------------------------

  fill(draft) {
    for (const name of ["name", "metric", "message", "description", "condition", "gap_policy"]) {
      if (draft[name] !== undefined && draft[name] !== null) this.field(name).value = draft[name];
    }
    this.field("enabled").checked = draft.enabled !== false;
    this.field("consecutive").value = draft.consecutive ?? 1;
    this.fillOverrides(draft.overrides);
    const [kind, of] = Object.entries(draft.scope || { device: "" })[0];
    this.field("scope_kind").value = kind;
    if (kind !== "all") this.field(kind).value = of;
    for (const name of ["for", "clear_for", "max_gap"]) this.fillDuration(name, draft[name]);
    this.levels.replaceChildren();
    for (const level of draft.levels || []) this.addLevel(level);
    this.schedule.fill(draft.schedule);
    this.arrange();
    for (const fold of this.form.querySelectorAll("details.fold")) fold.open = this.says(fold.dataset.fold) !== "";
  }

  fillOverrides(id) {
    const select = this.field("overrides");
    const value = id ? String(id) : "";
    if (value && ![...select.options].some((each) => each.value === value)) select.add(new Option(`threshold ${value}`, value));
    select.value = value;
  }

  fillDuration(name, seconds) {
    const place = this.form.querySelector(`[data-duration="${name}"]`);
    const unit = UNITS.find((each) => seconds && seconds % each === 0) || 1;
    place.querySelector("[data-amount]").value = seconds ? seconds / unit : "";
    place.querySelector("[data-unit-of]").value = String(seconds ? unit : 60);
  }

  addLevel({ severity, trigger, clear }) {
    const row = this.template.content.firstElementChild.cloneNode(true);
    const put = (name, value) => { row.querySelector(`[data-field="${name}"]`).value = value ?? ""; };
    put("severity", severity);
    const [low, high] = [trigger].flat();
    const [clearLow, clearHigh] = [clear].flat();
    put("trigger", low);
    put("trigger_high", high);
    put("clear", clearLow);
    put("clear_high", clearHigh);
    this.levels.append(row);
    return row;
  }

  nextSeverity() {
    const used = [...this.levels.querySelectorAll("[data-field=severity]")].map((each) => each.value);
    return ["warning", "critical", "major", "info"].find((each) => !used.includes(each)) || "critical";
  }

  // --- to the document ------------------------------------------------------------------------------------------------

  read() {
    const kind = this.field("scope_kind").value;
    const draft = {
      name: this.field("name").value.trim(), description: this.field("description").value, enabled: this.field("enabled").checked,
      scope: kind === "all" ? { all: true } : { [kind]: this.field(kind).value.trim() },
      metric: this.field("metric").value.trim(), condition: this.condition,
      levels: [...this.levels.children].map((row) => this.readLevel(row)),
      for: this.readDuration("for") ?? 0, consecutive: number(this.field("consecutive").value) ?? 1,
      clear_for: this.readDuration("clear_for") ?? 0, max_gap: this.readDuration("max_gap"),
      gap_policy: this.field("gap_policy").value, schedule: this.schedule.read(), message: this.field("message").value,
      overrides: this.field("overrides").value ? Number(this.field("overrides").value) : null,
    };
    return this.condition === "silent" ? { ...draft, ...WITHOUT } : draft;
  }

  readLevel(row) {
    const of = (name) => number(row.querySelector(`[data-field="${name}"]`).value);
    const ranged = RANGES.includes(this.condition);
    const pair = (low, high) => (low === null && high === null ? null : [low, high]);
    const level = { severity: row.querySelector("[data-field=severity]").value };
    level.trigger = ranged ? pair(of("trigger"), of("trigger_high")) : of("trigger");
    if (!NO_CLEAR.includes(this.condition)) level.clear = ranged ? pair(of("clear"), of("clear_high")) : of("clear");
    return level;
  }

  readDuration(name) {
    const place = this.form.querySelector(`[data-duration="${name}"]`);
    const amount = number(place.querySelector("[data-amount]").value);
    if (amount === null || typeof amount === "string") return amount;
    return Math.round(amount * Number(place.querySelector("[data-unit-of]").value) * 1000) / 1000;
  }

  /** Whether enough is there for a preview: what, of what, and a first level. */
  get complete() {
    const draft = this.read();
    const scope = Object.values(draft.scope)[0];
    return Boolean(scope && draft.metric && draft.levels.length && draft.levels.every((level) => level.trigger !== null));
  }

  // --- how it looks ---------------------------------------------------------------------------------------------------

  arrange() {
    const kind = this.field("scope_kind").value;
    for (const place of this.form.querySelectorAll("[data-scope]")) place.hidden = place.dataset.scope !== kind;
    const { condition } = this;
    this.form.classList.toggle("one-value", !RANGES.includes(condition));
    this.form.classList.toggle("no-clear", NO_CLEAR.includes(condition));
    for (const place of this.form.querySelectorAll("[data-not-silent]")) place.hidden = condition === "silent";
    this.form.querySelector("[data-level-hint]").textContent = HINTS[condition] || "";
    this.form.querySelector("[data-trigger-head]").textContent = condition === "silent" ? "Opens after (s)" : "Opens at";
    this.form.querySelector("[data-add-level]").hidden = this.levels.childElementCount >= 4;
    for (const fold of this.form.querySelectorAll("details.fold")) {
      fold.querySelector("[data-fold-says]").textContent = this.says(fold.dataset.fold);
    }
  }

  /** What a folded part says, "" where it is at its defaults. */
  says(part) {
    const draft = this.read();
    if (part === "gap") {
      const parts = [draft.max_gap ? "own gap" : "", draft.gap_policy === "hold" ? "clock runs on" : ""];
      return parts.filter(Boolean).join(", ");
    }
    if (part === "schedule") return draft.schedule ? `${draft.schedule.windows.length} set` : "";
    return [draft.message && "message", draft.description && "description", draft.overrides && "overrides"].filter(Boolean).join(", ");
  }

  // --- faults ---------------------------------------------------------------------------------------------------------

  clearErrors() {
    for (const line of this.form.querySelectorAll("[data-error], [data-level-error]")) line.hidden = true;
    for (const place of this.form.querySelectorAll(".has-error")) place.classList.remove("has-error");
    for (const input of this.form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
    this.schedule.clearErrors();
  }

  /** Show what the server says at its fields; answers the first of those places. */
  showErrors(errors) {
    this.clearErrors();
    const places = errors.map(({ field, detail }) => this.showError((field || "").replace(/^threshold\.?/, ""), detail));
    return places.find(Boolean);
  }

  showError(field, detail) {
    const [head, ...rest] = field.split(".");
    if (head === "schedule" && this.schedule.show(rest.join("."), detail)) return open(this.form.querySelector("[data-schedule]"));
    if (head === "levels" && rest.length > 1) {
      const row = this.levels.children[Number(rest[0])];
      const line = row?.querySelector(`[data-level-error="${rest[1] === "clear" ? "clear" : "trigger"}"]`);
      if (line) return said(line, detail);
    }
    return said(this.form.querySelector(`[data-error="${CSS.escape(head)}"]`) || this.form.querySelector('[data-error=""]'), detail);
  }
}

function said(line, detail) {
  const more = line.hidden ? "" : `${line.textContent} `;
  line.textContent = more + detail;
  line.hidden = false;
  line.parentElement.classList.add("has-error");
  line.parentElement.querySelector("input, select, textarea")?.setAttribute("aria-invalid", "true");
  return open(line);
}

function open(element) {
  const fold = element.closest("details.fold");
  if (fold) fold.open = true;
  return element;
}

/** A number as people type it; null for nothing; the text itself where it is none, so that the server can say so. */
function number(text) {
  const trimmed = String(text).trim().replace(",", ".");
  if (trimmed === "") return null;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : trimmed;
}
