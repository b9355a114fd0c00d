// Sends readings, and tries again as a careful device does. Node.js 20 or newer, nothing to install.
//
//   KEY=iot_… node send.mjs https://iot.example.org pump-7 21.5 21.6
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

const AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);
const LONGEST_PAUSE = 60_000;

/** POST readings until they are taken; the answer. Throws where sending the same again is of no use. */
export async function send(address, key, readings) {
  const idempotencyKey = randomUUID(); // the same for every attempt
  for (let attempt = 1; ; attempt += 1) {
    let answer = null;
    try {
      answer = await fetch(`${address}/api/v1/readings`, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${key}`,
          "Content-Type": "application/json",
          "Idempotency-Key": idempotencyKey,
        },
        body: JSON.stringify({ readings }),
        signal: AbortSignal.timeout(15_000),
      });
    } catch {
      // No connection, or no answer in time: whether it was taken is not known, so the same again.
    }
    if (answer?.ok) return answer.json();
    if (answer && !AGAIN.has(answer.status)) throw new Error(`refused: ${answer.status} ${await answer.text()}`);
    const growing = Math.min(LONGEST_PAUSE, 1000 * 2 ** attempt) * (0.5 + Math.random() / 2);
    await pause(Math.max(growing, 1000 * Number(answer?.headers.get("Retry-After") ?? 0) || 0));
  }
}

const [address, device, ...values] = process.argv.slice(2);
const now = Date.now();
const readings = values.map((value, index) => ({
  device,
  time: now - (values.length - 1 - index) * 1000, // milliseconds since 1970
  metrics: { temperature: Number(value) },
}));
console.log(JSON.stringify(await send(address, process.env.KEY, readings)));
