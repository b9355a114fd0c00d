// Times in the zone that the viewer chose: the browser's, UTC, or the device's. Ages tick; the exact moment is on hover.
//
// <time datetime="…Z" data-age>   "4 s ago", absolute on hover
// <time datetime="…Z" data-time>  "21 Nov, 10:22:31", the date where it is not today's; ISO and age on hover
//
// Fires "zone:changed" on document. The zone's name is in the cookie `zone` for what the server writes (exports).
import { keep, recall } from "./keep.js";

const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];

/** Which of "browser", "utc", "device" was chosen. */
export function zoneMode() {
  return recall("zone", "browser");
}

function deviceZone() {
  return document.querySelector("[data-device-zone]")?.dataset.deviceZone || "";
}

/** IANA name of the zone that times are shown in now. */
export function zone() {
  const mode = zoneMode();
  if (mode === "utc") return "UTC";
  return mode === "device" ? deviceZone() || browserZone : browserZone;
}

// The server's clock counts: a browser that is minutes off must not call a fresh reading old.
const served = Number(document.querySelector('meta[name="server-time"]')?.content);
let ahead = served ? Date.now() - served : 0;

/** ms since 1970 by the server's clock. */
export function now() {
  return Date.now() - ahead;
}

/** An answer said what time it is there (to the second): correct only what is plainly off. */
export function hearClock(dateHeader) {
  const said = Date.parse(dateHeader || "");
  if (!Number.isNaN(said) && Math.abs(now() - said) > 1500) ahead = Date.now() - said;
}

const formats = new Map();
function format(name, options) {
  const key = name + zone();
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone(), ...options }));
  return formats.get(key);
}
const DAY = { year: "numeric", month: "short", day: "numeric" };
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };

/** "21 Nov 2026, 10:22:31 CET" */
export function full(ms) {
  return format("full", { ...DAY, ...CLOCK, timeZoneName: "short" }).format(ms);
}

/** "10:22:31", with the day where it is not today's, with the year where it is not this one's. */
export function clock(ms) {
  const day = format("day", DAY);
  const time = format("clock", CLOCK).format(ms);
  if (day.format(ms) === day.format(now())) return time;
  const year = format("year", { year: "numeric" });
  const near = year.format(ms) === year.format(now());
  const date = format(near ? "near" : "far", near ? { month: "short", day: "numeric" } : DAY).format(ms);
  return `${date}, ${time.slice(0, 5)}`;
}

/** "4 s ago", "in 3 min" */
export function age(ms) {
  const seconds = (now() - ms) / 1000;
  const size = Math.abs(seconds);
  const unit = UNITS.find(([length]) => size >= length);
  const text = unit ? `${Math.floor(size / unit[0])} ${unit[1]}` : `${Math.floor(size)} s`;
  return seconds < -1 ? `in ${text}` : `${text} ago`;
}

/** Write every <time> below a node anew. */
export function showTimes(root = document) {
  for (const element of root.querySelectorAll("time[data-age], time[data-time]")) {
    const ms = Date.parse(element.dateTime);
    if (Number.isNaN(ms)) continue;
    const ageing = element.hasAttribute("data-age");
    const text = ageing ? age(ms) : clock(ms);
    if (element.textContent !== text) element.textContent = text;
    const exact = ageing ? full(ms) : `${full(ms)} (${age(ms)})`;
    if (element.title !== exact) element.title = exact;
  }
}

function tellServer() {
  document.cookie = `zone=${encodeURIComponent(zone())}; path=/; max-age=31536000; samesite=lax`;
}

function showChoice() {
  for (const button of document.querySelectorAll("[data-set-zone]")) {
    const mode = button.dataset.setZone;
    button.setAttribute("aria-pressed", String(mode === zoneMode()));
    const named = button.querySelector("[data-zone-name]");
    if (named) named.textContent = mode === "utc" ? "" : mode === "device" ? deviceZone() : browserZone;
    if (mode === "device") button.hidden = !deviceZone();
  }
  for (const shown of document.querySelectorAll("[data-zone-now]")) {
    shown.textContent = zone() === "UTC" ? "UTC" : zone().split("/").pop().replaceAll("_", " ");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-set-zone]");
  if (!button) return;
  keep("zone", button.dataset.setZone);
  tellServer();
  showChoice();
  showTimes();
  document.dispatchEvent(new CustomEvent("zone:changed"));
});

tellServer();
showChoice();
showTimes();
setInterval(showTimes, 1000);
