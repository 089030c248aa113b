/** Line plots as SVG, at the width they are shown at, with the table of their numbers behind them. */

import { element, svg } from "./views.js";

const HEIGHT = 220;
const MARGIN = { left: 52, right: 12, top: 10, bottom: 34 };

/**
 * A plot with a logarithmic y axis. `series` are { name, className, points: [[x, y] ...] }; values that are null or not
 * above 0 are left out. The series differ by their dashes too, not by colour alone. `beside` are the series of the plots
 * that stand beside this one: they are not drawn, but all of them get the same axes.
 */
export function logPlot(options) {
  return plot(options, {
    of: (y) => (y > 0 ? Math.log10(y) : null),
    range: (low, high) => [Math.floor(low), Math.max(Math.ceil(high), Math.floor(low) + 1)],
    ticks: (low, high) => ticks(low, high, 5, 1),
    label: powerOfTen,
  });
}

/** The same with a linear y axis. A series with `dots` shows each of its points. */
export function linePlot(options) {
  return plot(options, {
    of: (y) => y,
    range: (low, high) => (high > low ? [low - 0.04 * (high - low), high + 0.04 * (high - low)] : [low - 0.5, high + 0.5]),
    ticks: (low, high) => ticks(low, high, 5, 0),
    label: (y, say) => say.short(y),
  });
}

function plot({ series, beside = [], xLabel, yLabel, width, say, label }, scale) {
  const place = (each) => each.points.map(([x, y]) => [x, y === null ? null : scale.of(y)]).filter(([, y]) => y !== null);
  const placed = series.map(place);
  const points = [...placed, ...beside.map(place)].flat();
  if (!placed.flat().length) return element("p", { class: "note", text: "–" });
  const [x0, x1] = ends(points.map(([x]) => x));
  const [low, high] = scale.range(...ends(points.map(([, y]) => y)));
  const across = (x) => MARGIN.left + ((x - x0) / (x1 - x0 || 1)) * (width - MARGIN.left - MARGIN.right);
  const down = (y) => MARGIN.top + ((high - y) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const foot = HEIGHT - MARGIN.bottom;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label });
  for (const at of scale.ticks(low, high)) {
    const y = down(at);
    picture.append(
      svg("path", { class: "grid", d: `M${MARGIN.left} ${y}H${width - MARGIN.right}` }),
      words(scale.label(at, say), MARGIN.left - 8, y + 4, "end"),
    );
  }
  for (const x of ticks(x0, x1, Math.max(2, Math.floor(width / 90)), 1)) picture.append(words(say.short(x), across(x), foot + 16, "middle"));
  picture.append(
    svg("path", { class: "axis", d: `M${MARGIN.left} ${foot}H${width - MARGIN.right}` }),
    words(xLabel, width - MARGIN.right, HEIGHT - 3, "end"),
  );
  placed.forEach((shown, index) => {
    const { className, dots } = series[index];
    const d = shown.map(([x, y], at) => `${at ? "L" : "M"}${across(x).toFixed(1)} ${down(y).toFixed(1)}`).join("");
    picture.append(svg("path", { class: `line ${className}`, d }));
    if (dots) for (const [x, y] of shown) picture.append(svg("circle", { class: `dot ${className}`, cx: across(x).toFixed(1), cy: down(y).toFixed(1), r: 3 }));
  });
  return element("div", { class: "plot" }, key(series, yLabel), picture);
}

/** A table behind a plot, closed until someone wants it; `rows` is called when it is first opened. */
export function tableBehind({ title, columns, rows, say }) {
  const box = element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title });
  const details = element("details", {}, element("summary", { text: title }), box);
  details.addEventListener("toggle", () => {
    if (details.open && !box.firstChild) box.append(table(columns, rows(), say));
  });
  return details;
}

/** A table; numbers stand to the right. */
export function table(columns, rows, say) {
  const head = element("tr", {}, ...columns.map((column) => element("th", { scope: "col", text: column })));
  const body = rows.map((row) =>
    element(
      "tr",
      {},
      ...row.map((value, at) => {
        const number = typeof value === "number" || value === null;
        const text = number ? say.short(value) : value;
        return at ? element("td", { class: number ? "n" : null, text }) : element("th", { scope: "row", text });
      }),
    ),
  );
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

function key(series, yLabel) {
  const items = series.map((each) =>
    element(
      "li",
      {},
      svg("svg", { viewBox: "0 0 26 8", class: "key", "aria-hidden": "true" }, svg("path", { class: `line ${each.className}`, d: "M1 4H25" })),
      element("span", { text: each.name }),
    ),
  );
  return element("ul", { class: "keys" }, ...items, yLabel ? element("li", { class: "note", text: yLabel }) : null);
}

function words(text, x, y, anchor) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}

function ends(values) {
  return [Math.min(...values), Math.max(...values)];
}

function powerOfTen(power, say) {
  if (power >= -3 && power <= 5) return say.short(10 ** power);
  return `10${Array.from(String(power), (digit) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(digit)]).join("")}`;
}

/** At most `count` + 1 round numbers from `low` to `high`, at least `least` apart. */
function ticks(low, high, count, least) {
  const span = high - low;
  if (span <= 0) return [low];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(least, [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough));
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + 1e-9; at++) found.push(at * step);
  return found;
}
