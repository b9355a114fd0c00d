// What a person chose, kept in this browser. A browser that keeps nothing is no error: the choice lasts for the page.
const here = new Map();

export function recall(name, otherwise) {
  try {
    return localStorage.getItem(name) ?? here.get(name) ?? otherwise;
  } catch {
    return here.get(name) ?? otherwise;
  }
}

export function keep(name, value) {
  here.set(name, value);
  try {
    localStorage.setItem(name, value);
  } catch {
    // `here` has it.
  }
}
