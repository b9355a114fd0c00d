// What a threshold, saved or not, would have done: its past alerts counted, listed, and drawn over a series.
import { ApiError, api } from "./api.js";
import { readings } from "./alerts_series.js";
import { Chart, amount } from "./chart.js";
import { clock, now } from "./times.js";

const DAY = 86400000;
const LISTED = 8;
const BUSY_AGAIN_MS = 1500;
const SHAPES = { info: "○", warning: "△", major: "◇", critical: "◆" };

export class Backtest {
  constructor(root) {
    this.root = root;
    this.counts = root.querySelector("[data-preview-counts]");
    this.list = root.querySelector("[data-preview-list]");
    this.chooser = root.querySelector("[data-preview-series]");
    this.select = this.chooser.querySelector("select");
    this.chart = new Chart(root.querySelector("#preview-chart"), {
      height: 260, zoom: (start, end) => { this.zoomed = [start, end]; this.draw(); }, reset: () => { this.zoomed = null; this.draw(); },
    });
    this.chart.element.hidden = true;
    this.days = 7;
    this.zoomed = null;
    this.asked = null;
    this.found = null;
    this.select.addEventListener("change", () => { this.chosen = this.select.value; this.draw(); });
    root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-days]");
      if (!button) return;
      this.days = Number(button.dataset.days);
      this.zoomed = null;
      for (const each of root.querySelectorAll("[data-days]")) each.setAttribute("aria-pressed", String(each === button));
      if (this.draft) this.run(this.draft, this.devices);
    });
  }

  get range() {
    const end = now();
    return [end - this.days * DAY, end];
  }

  /** Ask what a draft would have done; a newer question drops the one before. `devices`: some on which it is judged. */
  async run(draft, devices) {
    this.draft = draft;
    this.devices = devices;
    this.asked?.abort();
    const asked = (this.asked = new AbortController());
    this.root.classList.add("is-busy");
    const [start, end] = this.range;
    try {
      const body = { threshold: draft, start: new Date(start).toISOString(), end: new Date(end).toISOString() };
      this.found = await patient(() => api("POST", "/api/v1/thresholds/preview", body, asked.signal), asked.signal);
      this.asked_range = [start, end];
      this.tell();
      await this.draw(asked.signal);
    } catch (error) {
      if (asked.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.say(error.errors[0]?.detail || error.message);
    } finally {
      if (this.asked === asked) this.root.classList.remove("is-busy");
    }
  }

  /** Words instead of figures, where there is nothing to count. */
  say(text) {
    this.counts.replaceChildren(element("span", text, "muted"));
    this.list.replaceChildren();
  }

  tell() {
    const { openings, notifications, series, readings: judged, truncated, alerts } = this.found;
    if (!series.matching) {
      this.say("No series matches: no enabled device in its scope has sent this metric yet.");
      this.offer([]);
      return;
    }
    this.counts.replaceChildren(
      figure(openings, openings === 1 ? "alert" : "alerts"), figure(notifications, notifications === 1 ? "message" : "messages"),
      element("span", `${judged.toLocaleString("en-GB")} readings of ${series.judged.toLocaleString("en-GB")}${truncated ? ` (of ${series.matching.toLocaleString("en-GB")})` : ""} series`, "muted small"),
    );
    const by = new Map();
    for (const alert of alerts) by.set(alert.device, (by.get(alert.device) || 0) + 1);
    const most = [...by].sort((a, b) => b[1] - a[1]).map(([device]) => device);
    this.offer([...new Set([...most, ...(this.devices || [])])], by);
    this.tabulate(alerts, openings);
  }

  offer(devices, by = new Map()) {
    this.chooser.hidden = devices.length < 2;
    const options = devices.map((device) => new Option(by.get(device) ? `${device}: ${by.get(device)}` : device, device));
    this.select.replaceChildren(...options);
    if (!devices.includes(this.chosen)) this.chosen = devices[0];
    if (this.chosen) this.select.value = this.chosen;
  }

  tabulate(alerts, openings) {
    if (!alerts.length) return this.list.replaceChildren();
    const table = element("table", "");
    const head = element("tr", "");
    head.append(...["Severity", "Device", "Opened", "Lasted", "At worst"].map((name) => element("th", name)));
    table.append(Object.assign(document.createElement("thead"), {}), document.createElement("tbody"));
    table.tHead.append(head);
    for (const alert of alerts.slice(-LISTED).reverse()) {
      const row = element("tr", "");
      const badge = element("span", `${SHAPES[alert.severity]} ${alert.severity}`, `sev sev-${alert.severity}`);
      const first = element("td", "");
      first.append(badge);
      const opened = Date.parse(alert.opened_at);
      const lasted = alert.ended_at ? duration(Date.parse(alert.ended_at) - opened) : "still open";
      row.append(first, element("td", alert.device), element("td", clock(opened)), element("td", lasted), element("td", amount(alert.extreme)));
      table.tBodies[0].append(row);
    }
    const more = openings - Math.min(LISTED, alerts.length);
    this.list.replaceChildren(table, ...(more > 0 ? [element("p", `and ${more.toLocaleString("en-GB")} before`, "muted small")] : []));
    return undefined;
  }

  async draw(signal) {
    this.chart.element.hidden = !this.chosen;
    if (!this.chosen || !this.found) return;
    const [start, end] = this.zoomed || this.asked_range;
    const { metric, condition, levels } = this.draft;
    try {
      const series = await readings(this.chosen, metric, start, end, this.chart.element.clientWidth, signal);
      this.chart.show({
        start, end, label: `${metric} of ${this.chosen}`,
        series: [{ ...series, unit: series.unit || this.unit || "" }],
        levels: levels.map((level) => ({ severity: level.severity, condition, trigger: level.trigger })),
        alerts: this.found.alerts.filter((alert) => alert.device === this.chosen).map((alert) => ({
          severity: alert.severity, start: Date.parse(alert.opened_at), end: alert.ended_at ? Date.parse(alert.ended_at) : null,
        })),
      });
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.chart.show({ start, end, series: [], label: metric, empty: error.message });
    }
  }
}

/** One preview is made at a time: while another one is, ask again a little later. */
async function patient(ask, signal) {
  for (let tries = 3; ; tries -= 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 503 || !tries || signal.aborted) throw error;
      await new Promise((resolve) => { setTimeout(resolve, BUSY_AGAIN_MS); });
    }
  }
}

function figure(number, name) {
  const made = element("span", "");
  made.append(element("b", number.toLocaleString("en-GB")), ` ${name}`);
  return made;
}

function element(tag, text, name = "") {
  return Object.assign(document.createElement(tag), { textContent: text, className: name });
}

function duration(ms) {
  const minutes = ms / 60000;
  if (minutes < 1) return `${Math.round(ms / 1000)} s`;
  if (minutes < 90) return `${Math.round(minutes)} min`;
  return minutes < 48 * 60 ? `${(minutes / 60).toFixed(1)} h` : `${(minutes / 1440).toFixed(1)} d`;
}
