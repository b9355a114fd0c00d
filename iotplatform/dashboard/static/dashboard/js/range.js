// A range of time in the address: ?range=6h, or ?start=…&end=… in ISO 8601. Relative ones move on with the clock.
import { full, now, zone } from "./times.js";

const SECONDS = { "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800, "30d": 2592000, "90d": 7776000, "1y": 31536000 };
const OTHERWISE = "6h";

/** {name, start, end, live}: ms; name is "" for a custom one, which does not move. */
export function readRange(query = new URLSearchParams(location.search)) {
  const [start, end] = [Date.parse(query.get("start") || ""), Date.parse(query.get("end") || "")];
  if (start < end) return { name: "", start, end, live: false };
  const name = SECONDS[query.get("range")] ? query.get("range") : OTHERWISE;
  const last = now();
  return { name, start: last - SECONDS[name] * 1000, end: last, live: true };
}

/** How long to wait before asking again, in ms: less than a pixel's worth, 4 s at least. */
export function pace(range) {
  return Math.min(300000, Math.max(4000, (range.end - range.start) / 2000));
}

/** Put a range into the address; a new entry of the history, so that Back undoes it. */
export function writeRange(range) {
  const query = new URLSearchParams(location.search);
  for (const key of ["range", "start", "end"]) query.delete(key);
  if (typeof range === "string") {
    query.set("range", range);
  } else {
    query.set("start", iso(range.start));
    query.set("end", iso(range.end));
  }
  history.pushState(null, "", `?${query}${location.hash}`);
}

export const iso = (ms) => new Date(ms).toISOString();

/** "6 h to now", or both ends. */
export function said(range) {
  return range.live ? "" : `${full(range.start)} – ${full(range.end)}`;
}

/** A moment of <input type=datetime-local>, read in the viewer's zone; ms. */
export function fromLocal(text) {
  const asUtc = Date.parse(`${text}Z`);
  // The offset of the zone at about that moment; once more, for the moment itself may lie behind a change of clocks.
  const first = asUtc - offsetAt(asUtc);
  return asUtc - offsetAt(first);
}

/** The other way round: what to put into the field. */
export function toLocal(ms) {
  return new Date(ms + offsetAt(ms)).toISOString().slice(0, 19);
}

function offsetAt(ms) {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone(), hourCycle: "h23", year: "numeric", month: "2-digit",
    day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" }).formatToParts(ms);
  const part = (type) => Number(parts.find((each) => each.type === type).value);
  return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second")) - Math.floor(ms / 1000) * 1000;
}

/**
 * The range picker of a page: buttons [data-range] in #ranges, #custom-range with #custom-form, #zoom-back, #range-text.
 * Calls changed(range) whenever another one holds. Answers {zoom(start, end), back()} for charts.
 */
export function rangePicker(changed) {
  const form = document.getElementById("custom-form");
  const back = document.getElementById("zoom-back");
  const before = [];

  function show() {
    const range = readRange();
    for (const button of document.querySelectorAll("#ranges [data-range]")) {
      button.setAttribute("aria-pressed", String(button.dataset.range === (range.name || "custom")));
    }
    document.getElementById("range-text").textContent = said(range);
    back.hidden = before.length === 0;
    form.elements.start.value = toLocal(range.start);
    form.elements.end.value = toLocal(range.end);
    changed(range);
  }

  function choose(range) {
    writeRange(range);
    show();
  }

  document.getElementById("ranges").addEventListener("click", (event) => {
    const button = event.target.closest("[data-range]");
    if (!button || button.dataset.range === "custom") return;
    before.length = 0;
    choose(button.dataset.range);
  });
  form.addEventListener("submit", (event) => {
    const [start, end] = [fromLocal(form.elements.start.value), fromLocal(form.elements.end.value)];
    form.elements.end.setCustomValidity(start < end ? "" : "The end must lie after the start.");
    if (!form.reportValidity()) {
      event.preventDefault();
      return;
    }
    before.length = 0;
    choose({ start, end });
  });
  form.addEventListener("input", () => form.elements.end.setCustomValidity(""));
  addEventListener("popstate", show);
  document.addEventListener("zone:changed", show);

  const picker = {
    zoom(start, end) {
      const range = readRange();
      before.push(range.name || range);
      choose({ start, end });
    },
    back() {
      if (before.length) choose(before.pop());
    },
  };
  back.addEventListener("click", picker.back);
  queueMicrotask(show);
  return picker;
}
