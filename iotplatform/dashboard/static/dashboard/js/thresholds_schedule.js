// Weekly hours as people set them, and as thresholds and silences keep them:
// {zone, windows: [{days: ["mon"], start: "08:00", end: "18:00"}]}, or null for always.

export class Schedule {
  constructor(element, changed = () => {}) {
    this.element = element;
    this.windows = element.querySelector("[data-windows]");
    this.zone = element.querySelector("[data-zone-input]");
    this.template = element.querySelector("[data-window-template]");
    element.addEventListener("click", (event) => {
      if (event.target.closest("[data-add-window]")) this.add({ days: ["mon", "tue", "wed", "thu", "fri"], start: "08:00", end: "18:00" }).querySelector("[data-from]").focus();
      else if (event.target.closest("[data-remove-window]")) event.target.closest("[data-window]").remove();
      else return;
      this.arrange();
      changed();
    });
    this.arrange();
  }

  add({ days, start, end }) {
    const made = this.template.content.firstElementChild.cloneNode(true);
    for (const box of made.querySelectorAll("input[type=checkbox]")) box.checked = days.includes(box.value);
    made.querySelector("[data-from]").value = start;
    made.querySelector("[data-to]").value = end;
    this.windows.append(made);
    return made;
  }

  arrange() {
    const some = this.windows.childElementCount > 0;
    this.element.querySelector("[data-zone-field]").hidden = !some;
    if (some && !this.zone.value) this.zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  }

  fill(schedule) {
    this.windows.replaceChildren();
    this.zone.value = schedule?.zone || "";
    for (const window of schedule?.windows || []) this.add(window);
    this.arrange();
  }

  read() {
    const windows = [...this.windows.children].map((each) => ({
      days: [...each.querySelectorAll("input:checked")].map((box) => box.value),
      start: each.querySelector("[data-from]").value.trim(),
      end: each.querySelector("[data-to]").value.trim(),
    }));
    return windows.length ? { zone: this.zone.value.trim() || "UTC", windows } : null;
  }

  /** Show an error at its window ("windows.0.start"); answers whether there is such a place. */
  show(path, detail) {
    const found = /^windows\.(\d+)/.exec(path);
    const place = found && this.windows.children[Number(found[1])];
    if (!place) return false;
    const line = place.querySelector("[data-window-error]");
    line.textContent = detail;
    line.hidden = false;
    return true;
  }

  clearErrors() {
    for (const line of this.element.querySelectorAll("[data-window-error]")) line.hidden = true;
  }
}
