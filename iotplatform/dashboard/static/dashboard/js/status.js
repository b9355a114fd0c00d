// The title and the icon of the tab say how many alerts are open, and how bad the worst is.
import { token } from "./theme.js";

const SHAPES = {
  critical: '<path d="M16 5 27 16 16 27 5 16z"/>',
  major: '<path d="M16 5 27 16 16 27 5 16z" fill="none" stroke-width="4"/>',
  warning: '<path d="M16 6 28 26H4z" fill="none" stroke-width="4"/>',
  info: '<circle cx="16" cy="16" r="9" fill="none" stroke-width="4"/>',
};
const title = document.title;
const icon = document.querySelector('link[rel="icon"]');
const plain = icon?.href;

function show() {
  const status = document.querySelector("[data-open-alerts]");
  if (!status) return;
  const open = Number(status.dataset.openAlerts);
  const worst = status.dataset.worst;
  document.title = open ? `(${open}) ${title}` : title;
  if (!icon) return;
  if (!open || !SHAPES[worst]) {
    icon.href = plain;
    return;
  }
  const colour = token(`--sev-${worst}`);
  const drawn = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="${colour}" stroke="${colour}">${SHAPES[worst]}</g></svg>`;
  icon.href = `data:image/svg+xml,${encodeURIComponent(drawn)}`;
}

document.addEventListener("live:updated", show);
show();
