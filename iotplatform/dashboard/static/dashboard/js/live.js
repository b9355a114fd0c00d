// Parts of a page that follow the platform without a reload.
//
// <section id="fleet" data-live data-live-every="2">…</section>
//
// asks for the page's own address (or that in data-live) with the header X-Live: <id>; the server answers with the
// inside of the element, which is morphed in: focus, selection and what was typed stay. 204 says that nothing changed.
// Fires "live:updated" on the element. While answers fail it asks less and less often, and a bar says since when the
// picture is stale; while the page is hidden nobody asks.
import htmx from "../vendor/htmx.esm.js";
import { hearClock, now, showTimes, clock } from "./times.js";

const LONGEST_SECONDS = 30;
const TIMEOUT_MS = 8000;
const parts = new Map();

class Part {
  constructor(element) {
    this.element = element;
    this.every = Number(element.dataset.liveEvery || 2);
    this.failures = 0;
    this.goodAt = now();
    this.timer = 0;
    this.etag = "";
    this.asking = false;
    this.schedule(this.every);
  }

  schedule(seconds) {
    clearTimeout(this.timer);
    this.nextAt = now() + seconds * 1000;
    this.timer = setTimeout(() => this.ask(), seconds * 1000);
  }

  async ask() {
    if (!this.element.isConnected) return parts.delete(this.element);
    if (document.hidden || this.asking || this.held()) return this.schedule(this.every);
    this.asking = true;
    try {
      const headers = { "X-Live": this.element.id };
      if (this.etag) headers["If-None-Match"] = this.etag;
      const answer = await fetch(this.element.dataset.live || location.href, {
        headers, redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (answer.type === "opaqueredirect" || answer.status === 401) return this.signedOut();
      if (!answer.ok && answer.status !== 304) throw new Error(`answered ${answer.status}`);
      hearClock(answer.headers.get("Date"));
      if (answer.status === 200) {
        const text = await answer.text();
        this.etag = answer.headers.get("ETag") || "";
        if (!this.held()) await this.show(text);
      }
      this.failures = 0;
      this.goodAt = now();
    } catch (error) {
      this.failures += 1;
      console.info(`${this.element.id} could not be brought up to date:`, error);
    } finally {
      this.asking = false;
    }
    this.schedule(this.failures ? Math.min(LONGEST_SECONDS, this.every * 2 ** this.failures) : this.every);
    showStale();
    return undefined;
  }

  async show(text) {
    await htmx.swap({ text, target: this.element, swap: "innerMorph", sourceElement: this.element });
    showTimes(this.element);
    this.element.dispatchEvent(new CustomEvent("live:updated", { bubbles: true }));
  }

  /** Nothing moves under somebody's hands: an open menu, a dialog, a field in use, or data-live-hold says wait. */
  held() {
    if (this.element.hasAttribute("data-live-hold")) return true;
    if (this.element.querySelector("details.menu[open], dialog[open]")) return true;
    const active = document.activeElement;
    return this.element.contains(active) && active.matches("input:not([type=checkbox]), textarea, select");
  }

  signedOut() {
    clearTimeout(this.timer);
    const bar = document.getElementById("stale");
    bar.querySelector("[data-stale-text]").textContent = "You are signed out: the picture is no longer kept up to date.";
    bar.querySelector("[data-stale-retry]").textContent = "Sign in";
    bar.hidden = false;
    document.documentElement.classList.add("is-stale");
  }
}

function showStale() {
  const failing = [...parts.values()].filter((part) => part.failures > 0);
  const bar = document.getElementById("stale");
  if (!bar || bar.querySelector("[data-stale-retry]").textContent === "Sign in") return;
  document.documentElement.classList.toggle("is-stale", failing.length > 0);
  bar.hidden = failing.length === 0;
  if (!failing.length) return;
  const since = Math.min(...failing.map((part) => part.goodAt));
  const wait = Math.max(0, Math.round((Math.min(...failing.map((part) => part.nextAt)) - now()) / 1000));
  const text = `Picture is stale since ${clock(since)}; trying again${wait ? ` in ${wait} s` : ""}.`;
  bar.querySelector("[data-stale-text]").textContent = text;
}

/** Follow every [data-live] below a node. */
export function follow(root = document) {
  for (const element of root.querySelectorAll("[data-live]")) {
    if (!parts.has(element)) parts.set(element, new Part(element));
  }
}

/** Ask now, for instance after an action. `id` names one element; all of them without it. */
export function refresh(id) {
  const chosen = [...parts.values()].filter((part) => !id || part.element.id === id);
  return Promise.all(chosen.map((part) => { part.etag = ""; return part.ask(); }));
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
window.addEventListener("online", () => refresh());
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-stale-retry]")) return;
  if (event.target.textContent === "Sign in") location.reload();
  else refresh();
});
setInterval(showStale, 1000);
follow();
