/** What the marks in the text stand for: surprise, one unit, or the gradient; and the legend that says so. */

import { ask } from "./server.js";
import { $, attempt, ready, state } from "./state.js";
import { SURPRISE, element, surpriseLevel, unitLevel } from "./views.js";

const SHARES = [0.02, 0.05, 0.1, 0.2, 0.5]; // of the largest gradient, for the steps of the scale

/** The scale that a pane's marks are on, and the step of each. */
export function levelsOf(pane) {
  if (state.colour === "surprise") return { kind: "s", levels: pane.marks.map((mark) => surpriseLevel(mark.bits)) };
  if (state.colour === "unit") {
    if (!pane.values) return { kind: "u", levels: pane.marks.map(() => 0) };
    const largest = Math.max(...pane.values.map((value) => Math.abs(value ?? 0)));
    return { kind: "u", levels: pane.marks.map((mark) => unitLevel(pane.values[mark.last] ?? 0, largest)) };
  }
  const shares = pane.gradientShares;
  return { kind: "s", levels: pane.marks.map((_, at) => SHARES.filter((least) => (shares.get(at) ?? 0) >= least).length) };
}

/** Mark the texts that are shown anew. */
export function colourAgain() {
  for (const pane of ready()) {
    const { kind, levels } = levelsOf(pane);
    pane.view.level(levels, kind);
  }
  showLegend();
}

/** Say what the marks mean. */
export function showLegend() {
  const swatch = (kind, level, label) =>
    element("span", { class: "swatch" }, element("span", { class: `mark ${kind}${level}`, "aria-hidden": "true", text: "a" }), label);
  if (state.colour === "unit") {
    const pane = state.panes.find((each) => each.values);
    if (!pane) return $("legend").replaceChildren(state.say("scale_unit_none"));
    const values = pane.values.filter((value) => value !== null);
    const title = state.say("scale_unit", {
      unit: pane.unit,
      quantity: state.say(pane.quantity),
      least: state.say.number(Math.min(...values), 2),
      most: state.say.number(Math.max(...values), 2),
    });
    const steps = [-4, -2, 0, 2, 4].map((level) => swatch("u", level, level === -4 ? "−" : level === 4 ? "+" : level === 0 ? "0" : ""));
    return $("legend").replaceChildren(element("span", { text: title }), ...steps);
  }
  const surprise = state.colour === "surprise";
  if (!surprise && !state.panes.some((pane) => pane.lag)) return $("legend").replaceChildren(state.say("scale_gradient_none"));
  const ends = surprise ? SURPRISE.map((bits) => state.say.short(bits)) : SHARES.map((share) => state.say.percent(share));
  const first = state.say("below", { n: ends[0] });
  $("legend").replaceChildren(
    element("span", { text: surprise ? state.say("scale_surprise") : gradientTitle() }),
    ...[first, ...ends.map((n) => state.say("from", { n }))].map((label, level) => swatch("s", level, label)),
  );
  return undefined;
}

/** What the marks by gradient are shares of: each model has a largest gradient of its own, and they may lie far apart. */
function gradientTitle() {
  const ends = state.panes.filter((pane) => pane.lag).map((pane) => {
    const values = { model: pane.info.name, largest: state.say.short(pane.largestGradient) };
    return state.say(state.panes.length > 1 ? "scale_gradient_of_pane" : "scale_gradient_of", values);
  });
  return `${state.say("scale_gradient")} (${ends.join("; ")})`;
}

/** Fetch the chosen unit's values along the text. */
export async function loadUnit(pane) {
  pane.quantity = pane.info.cell === "LSTM" ? "c" : "h";
  const body = { trace: pane.trace.trace, layer: pane.layer, unit: pane.unit, quantity: pane.quantity };
  const found = await attempt(() => ask("unit", body));
  pane.values = found?.values ?? null;
}
