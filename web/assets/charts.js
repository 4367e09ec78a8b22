// Draws lines over time, heat maps and percentile curves into the page's figures. Data comes from the API only.

const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(name).trim();
const EVERY_MS = 5000;
// The legend is below, as high as it needs to be.
const HEIGHT = 174;

// ---- words: as the server writes them ----
const digits = (value) => (Math.abs(value) >= 99.95 ? value.toFixed(0) : Math.abs(value) >= 9.995 ? value.toFixed(1) : value.toFixed(2));
function duration(ns) {
  if (ns === null || ns === undefined) return "–";
  for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) if (ns >= size) return `${short(ns / size)} ${unit}`;
  return `${short(ns)} ns`;
}
const short = (value) => String(Number(digits(value)));
function rate(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1e6 ? `${short(value / 1e6)} M` : value >= 1e3 ? `${short(value / 1e3)} k` : short(value);
}
function bytes(value) {
  let unit = 0;
  while (value >= 1024 && unit < 4) { value /= 1024; unit += 1; }
  return `${short(value)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}
const percent = (value) => (value === null || value === undefined ? "–" : `${short(value * 100)} %`);

// ---- what all charts have in common ----
const axis = (values, more = {}) => ({
  stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, size: 62, font: "11px system-ui, sans-serif",
  values: (_, splits) => splits.map(values), ...more,
});
// UTC, as in the log. Never in steps of less than a second, and never less than a minute: a line of two points says nothing.
const clock = (at, to = 19) => (at === null || at === undefined ? "–" : new Date(at * 1000).toISOString().slice(11, to));
const STEPS = [1, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
const time = { stroke: colour("--soft"), grid: { show: false }, ticks: { stroke: colour("--grid"), size: 4 }, size: 26, space: 64, font: "11px system-ui, sans-serif",
  incrs: STEPS, values: (_, splits, __, ___, step) => splits.map((at) => clock(at, step < 60 ? 19 : 16)) };
// All moments, and a minute at least: to one alone uPlot adds a thousand days.
const whole = (u) => { const at = u.data[0], last = at.at(-1) ?? 60; return [Math.min(at[0] ?? 0, last - 60), last]; };
const isAll = (at, min, max) => !at.length || (min === at[0] && (max === at.at(-1) || at.length === 1));
const x = { range: (u, min, max) => (isAll(u.data[0], min, max) ? whole(u) : [Math.min(min, max - 60), max]) };
const when = { label: "UTC", value: (_, at) => clock(at) };
// A value without neighbours makes no line: it is a point.
const alone = (u, series) => { const d = u.data[series]; return [...d.keys()].filter((at) => d[at] != null && d[at - 1] == null && d[at + 1] == null); };
const line = (label, name, value, more = {}) => ({ label, stroke: colour(name), width: 1.5, value: (_, v) => value(v), points: { show: true, size: 5, fill: colour(name), filter: alone }, ...more });
const base = (plot) => ({ width: plot.clientWidth, height: HEIGHT, cursor: { sync: { key: "time" }, drag: { x: true, y: false } }, legend: { live: true }, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC") });
const log = { distr: 3, log: 10, range: (_, min, max) => [10 ** Math.floor(Math.log10(Math.max(min ?? 1, 1))), 10 ** Math.ceil(Math.log10(Math.max(max ?? 10, 10)))] };
const from0 = { range: (_, min, max) => [0, Math.max(max ?? 0, 1e-9) * 1.1] };
// On an axis of decades only decades have lines and labels.
const isDecade = (v) => v > 0 && Number.isInteger(Math.round(Math.log10(v) * 1e6) / 1e6);
const onlyDecades = (_, splits) => splits.map((v) => (isDecade(v) ? v : null));
const decades = (values) => axis(values, { grid: { stroke: colour("--grid"), width: 1, filter: onlyDecades }, filter: onlyDecades,
  values: (_, splits) => splits.map((v) => (v === null ? "" : values(v))) });

const KINDS = {
  rate: {
    options: (plot) => ({ ...base(plot), scales: { x, y: from0 }, axes: [time, axis(rate)],
      series: [when, line("calls/s", "--a", rate, { fill: colour("--a") + "18" }), line("errors/s", "--b", rate)] }),
    data: (d) => [d.at, d.calls, d.errors],
  },
  percentiles: {
    options: (plot) => ({ ...base(plot), scales: { x, y: log }, axes: [time, decades(duration)],
      series: [when, line("p50", "--c", duration), line("p99", "--a", duration), line("p99.9", "--b", duration)] }),
    data: (d) => [d.at, d.p50, d.p99, d.p99_9],
  },
  parts: {
    options: (plot) => ({ ...base(plot), scales: { x, y: log }, axes: [time, decades(duration)],
      series: [when, line("queue p99", "--b", duration), line("handler p99", "--a", duration), line("queue mean", "--b", duration, { dash: [4, 3] }), line("handler mean", "--a", duration, { dash: [4, 3] })] }),
    data: (d) => [d.at, d.queue_p99, d.handler_p99, d.queue_mean, d.handler_mean],
  },
  usage: {
    options: (plot) => ({ ...base(plot), scales: { x, y: from0, memory: from0 }, axes: [time, axis(percent), axis(bytes, { side: 1, scale: "memory", grid: { show: false }, incrs: Array.from({ length: 40 }, (_, n) => 1024 * 2 ** n) })],
      series: [when, line("processors", "--a", percent), line("resident", "--c", (v) => (v === null || v === undefined ? "–" : bytes(v)), { scale: "memory" })] }),
    data: (d) => [d.at, d.cpu, d.memory],
  },
  nines: {
    options: (plot) => ({ ...base(plot), cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false, distr: 1, range: (_, min, max) => [0, max] }, y: log },
      axes: [{ ...time, values: (_, splits) => splits.map(nines), splits: (u) => Array.from({ length: Math.floor(u.scales.x.max) + 1 }, (_, n) => n) }, decades(duration)],
      series: [{ label: "share", value: (_, v) => (v === null || v === undefined ? "–" : nines(v)) }, line("total", "--a", duration, { width: 2 }), line("queue", "--b", duration), line("handler", "--c", duration), line("total before", "--a", duration, { dash: [4, 3] })] }),
    data: ([now, before]) => {
      const known = now.total.filter((v) => v !== null).length || before.total.filter((v) => v !== null).length;
      const cut = (list) => list.slice(0, Math.max(known, 2));
      return [cut(now.shares.map((_, place) => place / 8)), cut(now.total), cut(now.queue), cut(now.handler), cut(before.total)];
    },
  },
  heat: { options: heatOptions, data: (d) => [d.at, d.p50, d.p99], keep: (plot, d) => { plot.heat = d; } },
};

// 0 -> 0 %, 1 -> 90 %, 2 -> 99 %
function nines(decade) {
  const places = Math.max(0, Math.ceil(decade) - 2) + (Number.isInteger(decade) ? 0 : 2);
  return `${((1 - 10 ** -decade) * 100).toFixed(Math.min(places, 6))} %`;
}

// ---- the heat map: a column for each point, a cell for each band, darker where more calls took so long ----
function heatOptions(plot) {
  const draw = (u) => {
    const d = plot.heat;
    if (!d || !d.at.length) return;
    const most = Math.log1p(Math.max(1, ...d.heat.flat().map(([, count]) => count)));
    const { left, top, width, height } = u.bbox;
    u.ctx.save();
    u.ctx.beginPath();
    u.ctx.rect(left, top, width, height);
    u.ctx.clip();
    u.ctx.fillStyle = colour("--a");
    d.heat.forEach((bands, place) => {
      const x = u.valToPos(d.at[place], "x", true);
      const wide = Math.max(1, u.valToPos(d.at[place] + d.step, "x", true) - x);
      for (const [band, count] of bands) {
        const low = u.valToPos(d.heat_from_ns * 2 ** (band / 8), "y", true);
        const high = u.valToPos(d.heat_from_ns * 2 ** ((band + 1) / 8), "y", true);
        u.ctx.globalAlpha = 0.12 + 0.88 * (Math.log1p(count) / most);
        u.ctx.fillRect(x, high, wide, Math.max(1, low - high));
      }
    });
    u.ctx.restore();
  };
  const range = () => {
    const bands = (plot.heat?.heat ?? []).flat().map(([band]) => band);
    const from = plot.heat?.heat_from_ns ?? 64;
    if (!bands.length) return [100, 1e6];
    return log.range(null, from * 2 ** (Math.min(...bands) / 8), from * 2 ** ((Math.max(...bands) + 1) / 8));
  };
  return { ...base(plot), scales: { x, y: { ...log, range } }, axes: [time, decades(duration)],
    series: [when, line("p50", "--text", duration, { width: 0, stroke: "transparent" }), line("p99", "--text", duration, { width: 0, stroke: "transparent" })],
    hooks: { drawAxes: [draw] } };
}

// ---- figures ----
function nothing(plot, text) {
  let none = plot.querySelector(".none");
  if (!none) { none = document.createElement("div"); none.className = "none"; plot.append(none); }
  none.textContent = text;
  none.hidden = !text;
}

const figures = [...document.querySelectorAll("[data-chart]")].map((figure) => ({ figure, plot: figure.querySelector(".plot"), kind: KINDS[figure.dataset.chart], chart: null }));

// Whoever has dragged across a chart keeps what was chosen until a double click, whatever comes meanwhile.
function isZoomed(u) {
  const { min, max } = u.scales.x;
  if (!u.cursor.drag.x || !u.data[0].length) return false;
  const [from, to] = whole(u);
  return min !== from || max !== to;
}
// The figure says which span it shows.
function spanned({ figure, plot, kind }) {
  const options = kind.options(plot);
  const setScale = (u, key) => { if (key === "x") figure.dataset.span = JSON.stringify([u.scales.x.min, u.scales.x.max]); };
  return { ...options, hooks: { ...options.hooks, setScale: [setScale] } };
}

async function draw() {
  if (document.hidden) return;
  // Several figures of one source share an answer.
  const answers = new Map();
  for (const one of figures) {
    const source = one.figure.dataset.source;
    if (!answers.has(source)) answers.set(source, fetch(source).then((response) => (response.ok ? response.json() : null)).catch(() => null));
    const data = await answers.get(source);
    if (!data || !one.kind) { nothing(one.plot, "no answer"); continue; }
    one.kind.keep?.(one.plot, data);
    const columns = one.kind.data(data);
    const empty = columns.slice(1).every((column) => column.every((value) => !value));
    nothing(one.plot, empty ? "nothing happened in this time" : "");
    if (!one.chart) one.chart = new uPlot(spanned(one), columns, one.plot);
    else if (isZoomed(one.chart)) { one.chart.setData(columns, false); one.chart.redraw(); }
    else one.chart.setData(columns);
    one.figure.dataset.drawn = Number(one.figure.dataset.drawn ?? 0) + 1;
  }
}

function anew() {
  for (const one of figures) { one.chart?.destroy(); one.chart = null; }
  draw();
}

new ResizeObserver(() => figures.forEach((one) => one.chart?.setSize({ width: one.plot.clientWidth, height: HEIGHT }))).observe(document.getElementById("main"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
document.addEventListener("visibilitychange", draw);
draw();
setInterval(draw, EVERY_MS);
