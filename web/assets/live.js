// Keeps a page as it is now: cells by their keys, tables sorted as chosen, buttons that ask, log lines that come.
// Text from outside becomes text, never HTML: the only HTML that is taken in is a page of ours, drawn by the server.

const main = document.getElementById("main");
const pulse = document.getElementById("pulse");

// ---- cells ----
const TONES = { plain: "", good: "good", warn: "warn", bad: "bad", quiet: "quiet" };

function show(cells) {
  for (const [key, [text, tone, sort]] of Object.entries(cells)) {
    const cell = main.querySelector(`[data-k="${CSS.escape(key)}"]`);
    if (!cell) continue;
    const holder = cell.firstElementChild?.tagName === "A" ? cell.firstElementChild : cell;
    if (holder.textContent !== text) holder.textContent = text;
    for (const known of Object.values(TONES)) if (known) cell.classList.toggle(known, known === TONES[tone]);
    if (sort !== null) cell.dataset.sort = sort;
  }
  tables().forEach(sortAgain);
}

// Rows came or went: the whole page is fetched, and its parts replace ours where they differ.
let fetching = false;
async function reshape() {
  if (fetching || document.activeElement?.closest("form.act")) return;
  fetching = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("main");
    for (const part of main.querySelectorAll("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
      if (other) part.replaceWith(document.adoptNode(other));
    }
    main.dataset.shape = fresh.dataset.shape;
    prepare();
  } finally {
    fetching = false;
  }
}

// A lost connection comes back by itself; a refused one, of which there may be too many, does not.
const REFUSED_MS = 10_000;
function again(events, open) {
  if (events.readyState === EventSource.CLOSED) setTimeout(open, REFUSED_MS);
}

function watch() {
  const address = main.dataset.live;
  if (!address || !window.EventSource) return;
  const events = new EventSource(`/events?page=${encodeURIComponent(address)}`);
  events.addEventListener("cells", (event) => {
    const update = JSON.parse(event.data);
    show(update.cells);
    if (update.shape !== main.dataset.shape) reshape();
    pulse.className = "pulse on";
    pulse.textContent = "live";
    main.dataset.updates = Number(main.dataset.updates ?? 0) + 1;
  });
  events.onerror = () => {
    pulse.className = "pulse off";
    pulse.textContent = "waiting";
    again(events, watch);
  };
}

// ---- sorting ----
const sorted = new Map();
// Legends of charts are tables, too.
const tables = () => main.querySelectorAll(".scroll > table");

function sortAgain(table) {
  const by = sorted.get(table.id);
  if (!by) return;
  const value = (row) => {
    const cell = row.cells[by.column];
    return cell.dataset.sort !== undefined ? Number(cell.dataset.sort) : cell.textContent;
  };
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    return (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y))) * by.sign;
  };
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const wanted = [...rows].sort(compare);
  if (wanted.some((row, place) => row !== rows[place])) body.append(...wanted);
}

function prepare() {
  for (const table of tables()) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.title || head.firstElementChild) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const before = sorted.get(table.id);
        const first = head.classList.contains("num") ? -1 : 1;
        const sign = before?.column === column ? -before.sign : first;
        sorted.set(table.id, { column, sign });
        mark(table);
        sortAgain(table);
      });
    });
    mark(table);
    sortAgain(table);
  }
}

function mark(table) {
  const by = sorted.get(table.id);
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (by?.column === column) head.setAttribute("aria-sort", by.sign < 0 ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
}

// ---- buttons ----
const dialog = document.getElementById("ask");
const said = document.getElementById("said");

function ask(question, label) {
  document.getElementById("question").textContent = question;
  document.getElementById("yes").textContent = label;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

let clearing;
function say(text) {
  said.textContent = text;
  clearTimeout(clearing);
  clearing = setTimeout(() => { said.textContent = ""; }, 15000);
}

main.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form));
  const what = `${fields.get("verb")} ${fields.get("service")}`.trim();
  if (form.dataset.ask && !(await ask(form.dataset.ask, what))) return;
  fields.set("confirmed", "yes");
  const button = form.querySelector("button");
  button.disabled = true;
  say(`${what} …`);
  try {
    const response = await fetch("/act", { method: "POST", body: fields, headers: { accept: "application/json" } });
    const text = await response.text();
    const lines = response.headers.get("content-type")?.includes("json") ? JSON.parse(text).said : [text];
    say(`${what}: ${response.ok ? "done" : "not done"}\n${lines.join("\n")}`.trim());
  } catch {
    say(`${what}: no answer from the dashboard`);
  }
  button.disabled = false;
  button.blur();
  if (main.dataset.live) reshape();
});

main.querySelector("[data-choices]")?.addEventListener("change", (event) => {
  if (event.target.tagName === "SELECT") event.currentTarget.requestSubmit();
});

// ---- the log ----
const LINES_MAX = 2000;

function followLog() {
  const section = main.querySelector("[data-log]");
  if (!section || !window.EventSource) return;
  const box = document.getElementById("log");
  const follow = document.getElementById("follow");
  const line = (level, parts) => {
    const p = document.createElement("p");
    p.className = level;
    const names = ["time", "b", "i", "span"];
    parts.forEach((text, place) => {
      const part = document.createElement(names[place]);
      part.textContent = text;
      p.append(part, " ");
    });
    return p;
  };
  const bottom = () => { box.scrollTop = box.scrollHeight; };
  bottom();
  let first = true;
  const events = new EventSource(section.dataset.log);
  events.addEventListener("lines", (event) => {
    const { lines, missed } = JSON.parse(event.data);
    // What was drawn before may have a gap to what comes; also when this is another engine than before.
    if (first) box.replaceChildren();
    else if (missed > 0) box.append(line("warn", ["", "", "", `(${missed} lines came too fast to be shown)`]));
    for (const one of lines) if (one.level in LEVELS) box.append(line(one.level, [one.time, one.level, one.origin, one.text]));
    while (box.childElementCount > LINES_MAX) box.firstElementChild.remove();
    if (first || follow.checked) bottom();
    first = false;
    section.dataset.following = "yes";
  });
  events.onopen = () => { first = true; };
  events.onerror = () => again(events, followLog);
}
const LEVELS = { trace: 1, debug: 1, info: 1, warn: 1, error: 1 };

prepare();
watch();
followLog();
