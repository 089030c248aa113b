/** The panels of one model: what is inside at a character, the equations, the gradient, the units, the constants. */

import { element, oddsList, quoted, strip } from "./views.js";
import { logPlot, tableBehind } from "./plots.js";

const SIGNED = new Set(["g", "n", "c", "h"]);

/** The token that stands at a character, in quotation marks. */
export function named(text) {
  return `“${quoted(text)}”`;
}

/** Where the scale of each of a layer's states and gates ends, the same for every model that is shown. */
export function scalesOf(layers) {
  const scales = {};
  for (const numbers of layers) {
    for (const [letter, values] of Object.entries(numbers)) {
      const largest = SIGNED.has(letter) ? Math.max(...values.map((value) => Math.abs(value ?? 0))) : 1;
      scales[letter] = Math.max(1, scales[letter] ?? 0, largest);
    }
  }
  return scales;
}

/**
 * Odds, states and gates at one step. `unit` is the chosen one; `onUnit(layer, unit)` chooses another; `scales` is where
 * each strip ends.
 */
export function inspector(step, { model, layer, unit, scales, say, onUnit, onLayer }) {
  const numbers = step.layers[layer];
  const odds = element(
    "div",
    { class: "two" },
    column(say("expected"), oddsList(step.expected, { actual: step.token, label: say("expected"), say })),
    column(say("next"), oddsList(step.next, { label: say("next"), say })),
  );
  const strips = Object.entries(numbers).map(([letter, values]) =>
    strip({
      name: say(letter),
      letter,
      values,
      signed: SIGNED.has(letter),
      largest: scales[letter],
      describe: (at, value) => say("unit_value", { unit: at, value: say.number(value, 3) }),
      onChoose: (at) => onUnit(layer, at),
      say,
    }),
  );
  for (const each of strips) each.choose(unit);
  const letters = Object.keys(numbers);
  return {
    element: element(
      "div",
      { class: "inside" },
      readout(step, say),
      odds,
      layerChoice(step.layers.length, layer, unit, say, onLayer, onUnit, numbers.h.length),
      element("div", { class: "strips" }, ...strips.map((each) => each.element)),
      model.cell === "RNN" ? element("p", { class: "note", text: say("no_gates") }) : null,
      tableBehind({
        title: say("every_unit"),
        columns: [say("unit"), ...letters.map((letter) => `${letter} ${say(letter)}`)],
        rows: () => numbers.h.map((_, at) => [String(at), ...letters.map((letter) => numbers[letter][at])]),
        say,
      }),
    ),
    choose: (at) => strips.forEach((each) => each.choose(at)),
  };
}

/** One line: the character, its surprise, its chance, its place. */
export function readout(step, say) {
  return element(
    "p",
    { class: "readout" },
    element("strong", {}, element("bdi", { text: named(step.shown ?? step.token) })),
    " ",
    say("readout", {
      bits: say.number(step.bits, 2),
      chance: say.percent(2 ** -step.bits),
      rank: say.count(step.rank),
    }),
  );
}

function column(heading, list) {
  return element("div", {}, element("h3", { text: heading }), list);
}

function layerChoice(layers, layer, unit, say, onLayer, onUnit, units) {
  const select = element("select", {});
  for (let at = 0; at < layers; at++) select.append(element("option", { value: at, text: String(at + 1), selected: at === layer }));
  select.addEventListener("change", () => onLayer(Number(select.value)));
  const number = element("input", { type: "number", min: "0", max: String(units - 1), value: String(unit) });
  number.addEventListener("change", () => onUnit(layer, Math.max(0, Math.min(units - 1, Math.round(Number(number.value) || 0)))));
  return element(
    "div",
    { class: "actions" },
    layers > 1 ? element("label", {}, `${say("layer")} `, select) : null,
    element("label", { class: "unit-choice" }, `${say("unit")} `, number),
  );
}

function phasesOf(found, say) {
  return { lstm: lstmPhases, gru: gruPhases, rnn: rnnPhases }[found.cell](found, say);
}

/** The cell's equations for one unit and one character, phase by phase; the bars of `all` have one scale. */
export function equations(found, { all, phase, onPhase, say, shown }) {
  const phases = phasesOf(found, say);
  const numbers = all.flatMap((each) => phasesOf(each, say)).flatMap(({ flow: rows }) => rows.map(([, , value]) => Math.abs(value)));
  const at = Math.min(phase, phases.length - 1);
  const panel = element(
    "div",
    { class: "phase" },
    element("p", { class: "lead", text: phases[at].lead }),
    ...phases[at].lines.map((line) => element("p", { class: "equation" }, ...line)),
    element("p", { class: "note", text: say("shares") }),
  );
  const buttons = phases.map((each, index) => {
    const button = element("button", { type: "button", "aria-pressed": String(index === at) });
    button.append(element("span", { class: "ordinal", text: String(index + 1) }), ` ${each.name}`);
    button.addEventListener("click", () => onPhase(index));
    return button;
  });
  return element(
    "div",
    { class: "card" },
    element("p", {
      class: "note",
      text: say("steps_lead", { unit: found.unit, layer: found.layer + 1, token: named(shown) }),
    }),
    element("div", { class: "phases", role: "group" }, ...buttons),
    element("div", { class: "worked" }, panel, flow(phases, at, Math.max(1e-9, ...numbers), say)),
  );
}

/** The numbers that run through the cell, as bars from a middle; those of the phase that is shown stand out. */
function flow(phases, at, largest, say) {
  const rows = phases.flatMap((each, index) => each.flow.map((row) => [...row, index]));
  const body = rows.map(([name, symbol, value, index]) => {
    const bar = element("span", { class: value < 0 ? "swing down" : "swing", "aria-hidden": "true" });
    bar.style.setProperty("--share", String(Math.abs(value) / largest));
    return element(
      "tr",
      { class: index === at ? "now" : null },
      element("th", { scope: "row" }, `${name} `, element("var", { text: symbol })),
      element("td", { class: "n", text: say.number(value, 3) }),
      element("td", { class: "swings" }, bar),
    );
  });
  return element("table", { class: "flow" }, element("tbody", {}, ...body));
}

function numbersOf(gate, say) {
  const parts = [gate.by_input, gate.by_state, gate.bias];
  const sum = parts[0] + parts[1] + parts[2];
  const inside = parts.map((value, at) => (at && value >= 0 ? `+ ${say.number(value, 2)}` : say.number(value, 2).replace("−", at ? "− " : "−")));
  return { inside: inside.join(" "), sum: say.number(sum, 2), value: say.number(gate.value, 3) };
}

function variable(name, sub = "") {
  return element("var", {}, name, sub ? element("sub", { text: sub }) : null);
}

function gateLine(gate, say) {
  const squash = gate.activation === "sigmoid" ? "σ" : gate.activation;
  const { inside, sum, value } = numbersOf(gate, say);
  return [variable(gate.gate), ` = ${squash}(${inside}) = ${squash}(${sum}) = `, element("b", { text: value })];
}

function lstmPhases(found, say) {
  const [i, f, g, o] = found.gates;
  const n = (value) => say.number(value, 3);
  const [kept, admitted] = [f.value * found.c_before, i.value * g.value];
  const before = variable("c", "t−1");
  return [
    {
      name: say("phase_forget"),
      lead: say("phase_forget_lead"),
      lines: [
        gateLine(f, say),
        [variable("f"), " · ", before, ` = ${n(f.value)} × ${n(found.c_before)} = `, element("b", { text: n(kept) })],
      ],
      flow: [
        [say("state_before"), "cₜ₋₁", found.c_before],
        [say("kept"), "f·cₜ₋₁", kept],
      ],
    },
    {
      name: say("phase_remember"),
      lead: say("phase_remember_lead"),
      lines: [
        gateLine(g, say),
        gateLine(i, say),
        [variable("c", "t"), ` = ${n(kept)} + ${n(i.value)} × ${n(g.value)} = ${n(kept)} + ${n(admitted)} = `, element("b", { text: n(found.c) })],
      ],
      flow: [
        [say("admitted"), "i·g", admitted],
        [say("state_now"), "cₜ", found.c],
      ],
    },
    {
      name: say("phase_output"),
      lead: say("phase_output_lead"),
      lines: [
        gateLine(o, say),
        [variable("h", "t"), " = ", variable("o"), ` · tanh(${n(found.c)}) = ${n(o.value)} × ${n(Math.tanh(found.c))} = `, element("b", { text: n(found.h) })],
      ],
      flow: [[say("shown"), "hₜ", found.h]],
    },
  ];
}

function gruPhases(found, say) {
  const [r, z, candidate] = found.gates;
  const n = (value) => say.number(value, 3);
  const [kept, admitted] = [z.value * found.h_before, (1 - z.value) * candidate.value];
  return [
    {
      name: say("phase_reset"),
      lead: say("phase_reset_lead"),
      lines: [gateLine(r, say)],
      flow: [[say("state_before"), "hₜ₋₁", found.h_before]],
    },
    {
      name: say("phase_propose"),
      lead: say("phase_propose_lead"),
      lines: [gateLine(candidate, say)],
      flow: [[say("candidate"), "n", candidate.value]],
    },
    {
      name: say("phase_update"),
      lead: say("phase_update_lead"),
      lines: [
        gateLine(z, say),
        [variable("h", "t"), ` = ${n(z.value)} × ${n(found.h_before)} + ${n(1 - z.value)} × ${n(candidate.value)} = `, element("b", { text: n(found.h) })],
      ],
      flow: [
        [say("kept"), "z·hₜ₋₁", kept],
        [say("admitted"), "(1−z)·n", admitted],
        [say("state_now"), "hₜ", found.h],
      ],
    },
  ];
}

function rnnPhases(found, say) {
  return [
    {
      name: say("phase_rewrite"),
      lead: say("phase_rewrite_lead"),
      lines: [gateLine(found.gates[0], say)],
      flow: [
        [say("state_before"), "hₜ₋₁", found.h_before],
        [say("state_now"), "hₜ", found.h],
      ],
    },
  ];
}

function lagSeries(found, say) {
  const points = (values) => found.lags.map((lag, at) => [lag, values[at]]);
  return [
    { name: say("by_input"), className: "first", points: points(found.by_input) },
    { name: say("by_state"), className: "second", points: points(found.by_state) },
  ];
}

/** The gradient by lag as a plot on the axes of `all`, and its table; `token(lag)` is what stands that far back. */
export function lags(found, { all, say, shown, width, token }) {
  return element(
    "div",
    { class: "card" },
    element("p", { class: "note", text: say("lag_lead", { token: named(shown) }) + (found.tau ? ` ${say("tau", { n: say.short(found.tau) })}` : "") }),
    logPlot({
      series: lagSeries(found, say),
      beside: all.flatMap((each) => lagSeries(each, say)),
      xLabel: say("lag_axis"),
      yLabel: "",
      width,
      say,
      label: say("lag"),
    }),
    tableBehind({
      title: say("table"),
      columns: [say("lag_axis"), say("character"), say("by_input"), say("by_state")],
      rows: () => found.lags.map((lag, at) => [String(lag), quoted(token(lag)), found.by_input[at], at ? found.by_state[at] : ""]),
      say,
    }),
  );
}

/** For each property the units that follow it; `onMark(layer, unit)` marks the text by one. */
export function scores(found, { say, onMark }) {
  const groups = Object.entries(found.properties).map(([name, property]) =>
    element(
      "div",
      { class: "card property" },
      element("h3", { text: say(name) }),
      property ? scoreTable(found, property, say, onMark) : element("p", { class: "note", text: say("absent") }),
    ),
  );
  return element(
    "div",
    {},
    element("p", { class: "note", text: say(found.own ? "units_own" : "units_text", { steps: say.count(found.steps) }) }),
    element("div", { class: "properties" }, ...groups),
  );
}

function scoreTable(found, property, say, onMark) {
  const chance = property.measure === "AUC" ? 0.5 : 0;
  const rows = property.units.slice(0, 6).map((unit) => {
    const button = element("button", {
      type: "button",
      class: "link",
      text: `${unit.layer + 1} · ${unit.unit}`,
      "aria-label": `${say("layer")} ${unit.layer + 1}, ${say("unit")} ${unit.unit}: ${say("mark_by_it")}`,
    });
    button.addEventListener("click", () => onMark(unit.layer, unit.unit));
    const bar = element("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", String(Math.max(0, (unit.held_out - chance) / (1 - chance))));
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, button),
      element("td", { class: "n", text: say.number(unit.held_out, 3) }),
      element("td", { class: "swings" }, bar),
      element("td", { class: "n", text: say.number(unit.found, 3) }),
      element("td", { text: say(unit.rises ? "rises" : "falls") }),
    );
  });
  const heads = [`${say("layer")} · ${say("unit")}`, say("score"), "", say("first_half"), say("direction")];
  const head = heads.map((text) => (text ? element("th", { scope: "col", text }) : element("td", {})));
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": say("score") },
    element(
      "table",
      {},
      element("caption", { text: say(property.measure) }),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows),
    ),
  );
}

function constantSeries(layer, say) {
  const sorted = (values) => values.map((value) => value ?? Infinity).sort((a, b) => a - b).map((value, at) => [at + 1, Number.isFinite(value) ? value : null]);
  return [
    { name: say("by_bias"), className: "second", points: sorted(layer.by_bias) },
    { name: say("along_text"), className: "first", points: sorted(layer.along_text) },
  ];
}

/** Time constants of each layer's units, sorted, on the axes of `all`, and the table of all units. */
export function constants(found, { all, say, width }) {
  const beside = all.flatMap(({ layers }) => layers).flatMap((layer) => constantSeries(layer, say));
  const parts = found.layers.map((layer, index) => {
    const title = found.layers.length > 1 ? `${say("layer")} ${index + 1}` : "";
    return element(
      "div",
      {},
      title ? element("h3", { text: title }) : null,
      logPlot({
        series: constantSeries(layer, say),
        beside,
        xLabel: say("units_axis"),
        yLabel: say("steps_axis"),
        width,
        say,
        label: `${say("constants")} ${title}`,
      }),
      tableBehind({
        title: `${say("every_unit")} ${title}`,
        columns: [say("unit"), say("by_bias"), say("along_text")],
        rows: () => layer.by_bias.map((value, at) => [String(at), value, layer.along_text[at]]),
        say,
      }),
    );
  });
  return element("div", { class: "card" }, ...parts);
}

/** The table behind the marked text. */
export function everyCharacter(marks, say) {
  return tableBehind({
    title: say("every"),
    columns: [say("place"), say("character"), say("bits")],
    rows: () => marks.map((mark, at) => [String(at + 1), quoted(mark.text), mark.bits]),
    say,
  });
}
