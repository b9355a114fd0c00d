// A command, ready to paste into a shell, that sends one reading.

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** `metrics` such as {temperature: 21.5}; a device's own key needs no device in the body. */
export function curlFor(site, key, metrics) {
  return [
    `curl -sS ${quoted(`${site}/api/v1/readings?wait=5`)}`,
    `-H ${quoted(`Authorization: Bearer ${key}`)}`,
    "-H 'Content-Type: application/json'",
    `-d ${quoted(JSON.stringify({ metrics }))}`,
  ].join(" \\\n  ");
}
