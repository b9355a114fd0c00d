// Three steps on one page: register, hand out a key, see the first reading arrive.
import { get, post } from "./api.js";
import { amount } from "./amount.js";
import { curlFor } from "./curl.js";

const LOOK_MS = 1000;
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const form = document.getElementById("register");
const failed = form.querySelector(".form-error");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const said = Object.fromEntries(new FormData(form));
  const device = { name: said.name.trim() };
  if (said.type) device.type = said.type;
  if (said.group) device.group = said.group;
  failed.hidden = true;
  if (!device.name) return fail("Give it a name, such as pump-7.");
  button.disabled = true;
  try {
    await post("/api/v1/devices", device);
    const path = `/api/v1/devices/${encodeURIComponent(device.name)}`;
    const key = (await post(`${path}/keys`, { name: "first key" })).key;
    showKey(device, key);
    await firstReading(path);
  } catch (error) {
    button.disabled = false;
    fail(error.message);
  }
  return undefined;
});

function fail(text) {
  failed.textContent = text;
  failed.hidden = false;
  form.elements.name.focus();
}

function showKey(device, key) {
  for (const field of form.elements) field.disabled = true;
  const type = read("types").find((each) => each.name === device.type);
  document.getElementById("key").textContent = key;
  document.getElementById("curl").textContent = curlFor(read("site"), key, type?.example || read("example"));
  document.getElementById("to-device").href = `/devices/${encodeURIComponent(device.name)}/?range=1h`;
  document.getElementById("send").hidden = false;
  document.getElementById("arrive").hidden = false;
  document.getElementById("send").scrollIntoView({ block: "start" });
}

async function firstReading(path) {
  let metrics = {};
  while (!Object.keys(metrics).length) {
    await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
    try {
      metrics = (await get(`${path}/latest`)).metrics;
    } catch (error) {
      document.getElementById("waiting").textContent = `Still looking: ${error.message}`;
    }
  }
  document.getElementById("waiting").hidden = true;
  const shown = Object.entries(metrics).slice(0, 5).map(([name, { value }]) => {
    const span = document.createElement("span");
    span.append(`${name} `, Object.assign(document.createElement("b"), { textContent: amount(value) }));
    return span;
  });
  document.getElementById("first-values").replaceChildren("✓ It arrived: ", ...shown);
  document.getElementById("arrived").hidden = false;
  document.getElementById("to-device").focus();
}
