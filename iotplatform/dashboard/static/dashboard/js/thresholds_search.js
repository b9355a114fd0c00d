// Suggestions for a field while one types: input[data-search-of="devices"] asks the REST list for names.
import { ApiError, get } from "./api.js";

const WAIT_MS = 200;
const OFFERED = 20;

export function searching(root = document) {
  for (const input of root.querySelectorAll("[data-search-of]")) follow(input);
}

function follow(input) {
  const list = document.getElementById(input.getAttribute("list"));
  let waiting = 0;
  let asked = null;
  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const query = new URLSearchParams({ q: input.value.trim(), limit: OFFERED });
      const found = await get(`/api/v1/${input.dataset.searchOf}?${query}`, asked.signal);
      list.replaceChildren(...found.results.map((each) => Object.assign(document.createElement("option"), { value: each.name })));
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof ApiError)) throw error;
      console.info("No suggestions:", error);
    }
  };
  input.addEventListener("focus", ask, { once: true });
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, WAIT_MS);
  });
}
