"use strict";
const cells = [...document.querySelectorAll(".cell")];
const selects = [...document.querySelectorAll(".filters select")];
const search = document.getElementById("search");
const failed = document.getElementById("failed");
const status = document.getElementById("count");

// --- which outputs are shown ---

const texts = new Map();
for (const answer of document.querySelectorAll(".answer")) {
  texts.set(answer, answer.querySelector("pre").textContent);
}

function filter() {
  const wanted = search.value.trim().toLowerCase();
  let shown = 0;
  for (const cell of cells) {
    const fits = selects.every((select) => !select.value || cell.dataset[select.name] === select.value);
    let here = 0;
    for (const answer of cell.querySelectorAll(".answer")) {
      const good = fits && (!failed.checked || "failed" in answer.dataset) && (!wanted || texts.get(answer).toLowerCase().includes(wanted));
      answer.hidden = !good;
      if (good) here += Number(answer.dataset.rows);
    }
    cell.hidden = here === 0;
    shown += here;
  }
  status.textContent = `${shown} of ${status.dataset.all} outputs`;
  mark(wanted);
}

function mark(wanted) {
  if (!globalThis.Highlight) return;
  CSS.highlights.delete("found");
  if (!wanted) return;
  const ranges = [];
  for (const [answer, text] of texts) {
    const node = answer.querySelector("pre").firstChild;
    // Where lower case has another length (as of a dotted capital I), places would be wrong; a compared output has several nodes.
    const lower = text.toLowerCase();
    if (answer.hidden || !node || node.length !== lower.length) continue;
    for (let at = lower.indexOf(wanted); at >= 0 && ranges.length < 2000; at = lower.indexOf(wanted, at + wanted.length)) {
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, at + wanted.length);
      ranges.push(range);
    }
  }
  CSS.highlights.set("found", new Highlight(...ranges));
}

let waiting;
function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(filter, 120);
}

search.addEventListener("input", soon);
for (const control of [...selects, failed]) control.addEventListener("change", filter);
document.getElementById("all").addEventListener("click", () => {
  for (const select of selects) select.value = "";
  search.value = "";
  failed.checked = false;
  filter();
});

// --- outputs of a cell, compared with one of them ---

document.addEventListener("click", (event) => {
  const button = event.target.closest(".compare");
  if (!button) return;
  const cell = button.closest(".cell");
  const base = button.closest(".answer");
  const again = button.getAttribute("aria-pressed") === "true";
  for (const answer of cell.querySelectorAll(".answer")) {
    const chosen = !again && answer === base;
    answer.classList.toggle("base", chosen);
    answer.querySelector(".compare")?.setAttribute("aria-pressed", String(chosen));
    const place = answer.querySelector("pre");
    if (again || answer === base) place.textContent = texts.get(answer);
    else place.replaceChildren(...changes(texts.get(base), texts.get(answer)));
  }
  mark(search.value.trim().toLowerCase());
});

const PART = /[\p{L}\p{N}\p{M}_]+|\s+|[^\p{L}\p{N}\p{M}_\s]/gu;
const MOST = 16e6; // cells of the table below, 32 MB

/** Nodes that show how text b differs from a, word by word. */
function changes(a, b) {
  const left = a.match(PART) ?? [];
  const right = b.match(PART) ?? [];
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let end = 0;
  while (end < Math.min(left.length, right.length) - start && left.at(-1 - end) === right.at(-1 - end)) end += 1;
  const steps = common(left.slice(start, left.length - end), right.slice(start, right.length - end));
  const all = [["", left.slice(0, start)], ...steps, ["", left.slice(left.length - end)]];
  return all.filter(([, parts]) => parts.length).map(([kind, parts]) => {
    if (!kind) return document.createTextNode(parts.join(""));
    const node = document.createElement(kind);
    node.textContent = parts.join("");
    return node;
  });
}

/** Runs of words that are in both ("") or in one only ("del", "ins"), by a longest common subsequence. */
function common(a, b) {
  const n = a.length;
  const m = b.length;
  if (n * m > MOST) return [["del", a], ["ins", b]];
  const width = m + 1;
  const longest = new Uint16Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      longest[i * width + j] = a[i] === b[j]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const runs = [];
  const put = (kind, part) => (runs.at(-1)?.[0] === kind ? runs.at(-1)[1].push(part) : runs.push([kind, [part]]));
  let i = 0;
  let j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && a[i] === b[j]) {
      put("", a[i]);
      i += 1;
      j += 1;
    } else if (j >= m || (i < n && longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
      put("del", a[i]);
      i += 1;
    } else {
      put("ins", b[j]);
      j += 1;
    }
  }
  return runs;
}

filter();
