/** The page: what is chosen, what is asked of the server, which panel shows what. */

import { LANGUAGES, preferred, speaker } from "./messages.js";
import { Pane, ask } from "./pane.js";
import { Marks, SURPRISE, element, graphemes, quoted, surpriseLevel, unitLevel } from "./views.js";
import { constants, equations, everyCharacter, inspector, lags, readout, scores } from "./panels.js";

const $ = (id) => document.getElementById(id);
const LANGUAGE = "longhold-language";
const PAUSE = 250; // milliseconds without typing before the text is read
const SHARES = [0.02, 0.05, 0.1, 0.2, 0.5]; // of the largest gradient, for the steps of the scale

let say = speaker("en");
let about = null;
let panes = [];
let offset = 0; // UTF-16 units before the end of the chosen character
let colour = "surprise";
let phase = 0;
let reading = 0; // number of the newest reading; older answers are dropped
let text = "";
const dirty = new Set();
const seen = new Set();

/** The panes whose model has read the text. */
function ready() {
  return panes.filter((pane) => pane.trace);
}

function setStatus(line) {
  $("status").textContent = line;
}

function told(error) {
  return error.gone ? say("gone") : error.message;
}

async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    setStatus(told(error));
    return null;
  }
}

/* Reading */

let timer = null;

function textChanged() {
  clearTimeout(timer);
  $("readings").setAttribute("aria-busy", "true");
  timer = setTimeout(read, PAUSE);
}

async function read() {
  clearTimeout(timer);
  const mine = ++reading;
  $("readings").setAttribute("aria-busy", "true");
  await readNow(mine);
  if (mine === reading) $("readings").setAttribute("aria-busy", "false");
}

async function readNow(mine) {
  text = $("text").value;
  const count = Array.from(text).length;
  if (count > about.longest_text) {
    setStatus(say("too_long", { count: say.count(count), most: say.count(about.longest_text) }));
    return;
  }
  if (!text) {
    panes.forEach((pane) => Object.assign(pane, { trace: null, problem: null }));
    setStatus(say("no_text"));
    showReadings();
    return;
  }
  setStatus(say("working"));
  for (const pane of panes) {
    pane.problem = null;
    const answer = await ask("trace", { model: pane.model, text }).catch((error) => {
      pane.problem = told(error);
      return null;
    });
    if (mine !== reading) return;
    if (answer) pane.take(answer);
    else pane.trace = null;
  }
  setStatus("");
  offset = Math.min(offset || graphemes(text)[0], text.length);
  if (colour === "unit") await Promise.all(ready().map(loadUnit));
  if (mine !== reading) return;
  showReadings();
  chosenChanged();
  later("constants");
}

/* Showing the text */

function levelsOf(pane) {
  if (colour === "surprise") return { kind: "s", levels: pane.marks.map((mark) => surpriseLevel(mark.bits)) };
  if (colour === "unit") {
    if (!pane.values) return { kind: "u", levels: pane.marks.map(() => 0) };
    const largest = Math.max(...pane.values.map((value) => Math.abs(value ?? 0)));
    return { kind: "u", levels: pane.marks.map((mark) => unitLevel(pane.values[mark.last] ?? 0, largest)) };
  }
  const shares = pane.gradientShares;
  return { kind: "s", levels: pane.marks.map((_, at) => SHARES.filter((least) => (shares.get(at) ?? 0) >= least).length) };
}

function colourAgain() {
  for (const pane of ready()) {
    const { kind, levels } = levelsOf(pane);
    pane.view.level(levels, kind);
  }
  showLegend();
}

function describe(pane, index) {
  const mark = pane.marks[index];
  return say("mark", {
    token: quoted(mark.text),
    bits: say.number(mark.bits, 2),
    place: index + 1,
    count: pane.marks.length,
  });
}

function showReadings() {
  const parts = panes.map((pane) => {
    if (!pane.trace) {
      pane.view = null;
      return element("div", {}, paneName(pane), element("p", { class: "note", text: pane.problem ?? say("no_text") }));
    }
    pane.view = new Marks({
      label: say("walk", { model: pane.info.name }),
      describe: (index) => describe(pane, index),
      onChoose: (index) => choose(pane.marks[index].end),
      onPeek: (index) => peek(pane, index),
    });
    pane.line = element("div", { class: "line-below" });
    const { kind, levels } = levelsOf(pane);
    pane.view.chosen = pane.at(offset);
    pane.view.show(pane.marks.map((mark, at) => ({ text: mark.text, level: levels[at], kind })));
    const summary = say("summary", {
      bits: say.number(pane.trace.bits_per_character, 2),
      bytes: say.number(pane.trace.bits_per_byte, 2),
    });
    const unknown = pane.trace.unknown.length
      ? element("p", { class: "note", text: say("unknown", { tokens: pane.trace.unknown.map(quoted).join(" ") }) })
      : null;
    return element(
      "div",
      {},
      paneName(pane),
      pane.view.element,
      pane.line,
      element("p", { class: "summary", text: summary }),
      unknown,
      everyCharacter(pane.marks, say),
    );
  });
  $("readings").replaceChildren(...parts);
  if (!ready().length) for (const id of ["inspectors", "equations", "lags", "times"]) $(id).replaceChildren();
  showLegend();
}

function paneName(pane) {
  return panes.length > 1 ? element("h3", { class: "pane-name", text: `${pane.info.name} · ${pane.info.cell}` }) : null;
}

function showLegend() {
  const swatch = (kind, level, label) =>
    element("span", { class: "swatch" }, element("span", { class: `mark ${kind}${level}`, "aria-hidden": "true", text: "a" }), label);
  if (colour === "unit") {
    const pane = panes.find((each) => each.values);
    if (!pane) return $("legend").replaceChildren(say("scale_unit_none"));
    const values = pane.values.filter((value) => value !== null);
    const title = say("scale_unit", {
      unit: pane.unit,
      quantity: say(pane.quantity),
      least: say.number(Math.min(...values), 2),
      most: say.number(Math.max(...values), 2),
    });
    const steps = [-4, -2, 0, 2, 4].map((level) => swatch("u", level, level === -4 ? "−" : level === 4 ? "+" : level === 0 ? "0" : ""));
    return $("legend").replaceChildren(element("span", { text: title }), ...steps);
  }
  const surprise = colour === "surprise";
  if (!surprise && !panes.some((pane) => pane.lag)) return $("legend").replaceChildren(say("scale_gradient_none"));
  const ends = surprise ? SURPRISE.map((bits) => say.short(bits)) : SHARES.map((share) => say.percent(share));
  const first = say("below", { n: ends[0] });
  $("legend").replaceChildren(
    element("span", { text: say(surprise ? "scale_surprise" : "scale_gradient") }),
    ...[first, ...ends.map((n) => say("from", { n }))].map((label, level) => swatch("s", level, label)),
  );
  return undefined;
}

/* Choosing */

function choose(end) {
  offset = end;
  for (const pane of panes) if (pane.view) pane.view.choose(pane.at(offset));
  chosenChanged();
}

function walk(direction) {
  const [pane] = ready();
  const mark = pane?.marks[pane.at(offset) + direction];
  if (mark) choose(mark.end);
}

let peeking = null;

function peek(pane, index) {
  clearTimeout(peeking);
  if (index === null) {
    peeking = setTimeout(() => showInspectors(null), 120);
  } else {
    peeking = setTimeout(() => showInspectors(pane.marks[index].end), 30);
  }
}

let inspecting = 0;

/** The panels of the step at the character that ends at `end`, else at the chosen one. */
async function showInspectors(end) {
  if (!ready().length) return;
  const mine = ++inspecting;
  const shown = ready();
  const steps = await attempt(() =>
    Promise.all(shown.map((pane) => pane.step(pane.at(end ?? offset)))),
  );
  if (!steps || mine !== inspecting) return;
  const focused = focusKept();
  const parts = shown.map((pane, at) => {
    const made = inspector(steps[at], {
      model: pane.info,
      layer: pane.layer,
      unit: pane.unit,
      say,
      onUnit: (layer, unit) => chooseUnit(pane, layer, unit),
      onLayer: (layer) => chooseUnit(pane, layer, pane.unit, true),
    });
    pane.choose = made.choose;
    pane.line?.replaceChildren(readout(steps[at], say));
    pane.inside = made.element;
    return element("div", {}, paneName(pane), made.element);
  });
  $("inspectors").replaceChildren(...parts);
  focused();
}

/** Remembers which control of the panels has the focus, and gives it back after they were made anew. */
function focusKept() {
  const controls = () => [...$("inspectors").querySelectorAll("[tabindex], select, input, summary")];
  const at = controls().indexOf(document.activeElement);
  const open = [...$("inspectors").querySelectorAll("details")].map((details) => details.open);
  return () => {
    $("inspectors").querySelectorAll("details").forEach((details, index) => (details.open = open[index] ?? false));
    if (at >= 0) controls()[at]?.focus();
  };
}

function chosenChanged() {
  showInspectors(null);
  later("steps");
  later("lag");
  if (colour === "gradient") loadLags().then(colourAgain);
}

async function chooseUnit(pane, layer, unit, whole = false) {
  pane.layer = layer;
  pane.unit = unit;
  pane.choose?.(unit);
  const number = pane.inside?.querySelector("input[type=number]");
  if (number) number.value = String(unit);
  if (whole) showInspectors(null);
  later("steps");
  if (colour === "unit") {
    await loadUnit(pane);
    colourAgain();
  }
}

async function loadUnit(pane) {
  pane.quantity = pane.info.cell === "LSTM" ? "c" : "h";
  const asked = { trace: pane.trace.trace, layer: pane.layer, unit: pane.unit, quantity: pane.quantity };
  const found = await attempt(() => ask("unit", asked));
  pane.values = found?.values ?? null;
}

/* Panels that wait until they are seen */

const SECTIONS = { steps: showEquations, lag: showLags, constants: showConstants };

function later(name) {
  dirty.add(name);
  if (seen.has(name)) run(name);
}

const waiting = {};

function run(name) {
  clearTimeout(waiting[name]);
  waiting[name] = setTimeout(() => {
    if (!ready().length || !dirty.delete(name)) return;
    attempt(SECTIONS[name]);
  }, 120);
}

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target.id);
      else seen.delete(target.id);
      if (isIntersecting && dirty.has(target.id)) run(target.id);
    }
  },
  { rootMargin: "200px" },
);

/** The panes' panels side by side, made by `make(pane)`; what is out of date by then (`now` has changed) is dropped. */
async function fill(id, now, make) {
  const from = now();
  const parts = [];
  for (const pane of ready()) {
    let made;
    try {
      made = await make(pane);
    } catch (error) {
      made = element("p", { class: "note", text: told(error) });
    }
    if (from !== now()) return;
    parts.push(element("div", {}, paneName(pane), made));
  }
  $(id).replaceChildren(...parts);
}

const atPlace = () => `${reading} ${offset}`;
const unitAtPlace = () => `${atPlace()} ${panes.map((pane) => `${pane.layer} ${pane.unit}`)}`;

function showEquations() {
  return fill("equations", unitAtPlace, async (pane) => {
    const mark = pane.marks[pane.at(offset)];
    const asked = { trace: pane.trace.trace, place: mark.last, layer: pane.layer, unit: pane.unit };
    pane.worked = null;
    pane.found = await ask("equations", asked);
    return (pane.worked = equationsOf(pane, mark.text));
  });
}

function equationsOf(pane, shown) {
  return equations(pane.found, {
    phase,
    say,
    shown,
    onPhase: (index) => {
      phase = index;
      for (const each of ready().filter(({ worked }) => worked)) {
        const made = equationsOf(each, each.marks[each.at(offset)].text);
        each.worked.replaceWith(made);
        each.worked = made;
        if (each === pane) made.querySelectorAll(".phases button")[index].focus();
      }
    },
  });
}

async function loadLags() {
  for (const pane of ready()) {
    const place = pane.marks[pane.at(offset)].first;
    if (pane.lag?.place === place) continue;
    pane.lag = null;
    if (place < 1) continue;
    const found = await ask("lag", { trace: pane.trace.trace, place }).catch(() => null);
    if (found) pane.lag = { ...found, place };
  }
}

function showLags() {
  return fill("lags", atPlace, async (pane) => {
    const mark = pane.marks[pane.at(offset)];
    const place = mark.first;
    if (place < 1) return element("p", { class: "note", text: say("scale_gradient_none") });
    if (pane.lag?.place !== place) pane.lag = { ...(await ask("lag", { trace: pane.trace.trace, place })), place };
    return lags(pane.lag, {
      say,
      shown: mark.text,
      width: widthOf("lags"),
      token: (lag) => pane.marks.find((each) => each.last >= place - 1 - lag && place - 1 - lag >= 0)?.text ?? "⊢",
    });
  });
}

function showConstants() {
  return fill("times", () => reading, async (pane) => {
    if (pane.info.cell === "RNN") return element("p", { class: "note", text: say("no_gates") });
    const found = await ask("constants", { trace: pane.trace.trace });
    return constants(found, { say, width: widthOf("times") });
  });
}

function widthOf(id) {
  const columns = getComputedStyle($(id)).gridTemplateColumns.split(" ").length;
  return Math.max(260, Math.floor($(id).clientWidth / columns - (columns > 1 ? 24 : 0)) - 42);
}

async function findUnits() {
  setStatus(say("searching"));
  $("find").disabled = true;
  await fill("scores", () => panes, async (pane) => {
    pane.scored = await ask("units", { model: pane.model, text: $("text").value });
    return (pane.scores = scoresOf(pane));
  });
  $("find").disabled = false;
  setStatus("");
}

function scoresOf(pane) {
  return scores(pane.scored, {
    say,
    onMark: async (layer, unit) => {
      colour = "unit";
      $("by-unit").checked = true;
      await chooseUnit(pane, layer, unit, true);
      pane.view?.element.scrollIntoView({ block: "center" });
    },
  });
}

/* Writing */

async function write() {
  const begun = await attempt(() =>
    ask("write", { model: panes[0].model, text: $("text").value, length: 300, temperature: Number($("temperature").value) }),
  );
  if (!begun) return;
  const before = $("text").value;
  writingNow(true);
  setStatus(say("writing"));
  for (;;) {
    const job = await attempt(() => ask("job"));
    if (!job) break;
    $("text").value = before + job.text;
    $("text").scrollTop = $("text").scrollHeight;
    if (job.state !== "running") {
      setStatus(job.state === "stopped" ? say("stopped") : job.error);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  writingNow(false);
  await read();
}

function writingNow(writing) {
  $("write").hidden = writing;
  $("stop").hidden = !writing;
  $("text").readOnly = writing;
  $(writing ? "stop" : "write").focus();
}

/* The page itself */

function showWords() {
  document.documentElement.lang = say.language;
  document.title = `${say("title")} – longhold`;
  for (const part of document.querySelectorAll("[data-say]")) {
    part.textContent = say(part.dataset.say);
  }
  $("languages").setAttribute("aria-label", say("language"));
  for (const button of $("languages").children) button.setAttribute("aria-pressed", String(button.lang === say.language));
  $("temperature-value").textContent = say.number(Number($("temperature").value), 1);
  $("beside").firstElementChild.textContent = say("nothing");
  showNames();
}

function showNames() {
  $("name").replaceChildren(...panes.flatMap((pane, at) => (at ? [" ", element("span", { class: "and", text: "+" }), " ", pane.info.name] : [pane.info.name])));
  $("facts").textContent = panes.map(({ info }) => factsOf(info)).join(" — ");
}

function factsOf(info) {
  const parts = [
    say("facts", { cell: info.cell, layers: info.layers, units: info.units, parameters: say.count(info.parameters) }),
    info.corpus ? say("facts_corpus", { corpus: info.corpus }) : null,
    info.held_out === null ? null : say("facts_held_out", { bits: say.number(info.held_out, 2) }),
  ];
  return parts.filter(Boolean).join(" · ");
}

function speak(language) {
  say = speaker(language);
  showWords();
  showReadings();
  for (const pane of panes.filter(({ scores: shown }) => shown)) {
    const made = scoresOf(pane);
    pane.scores.replaceWith(made);
    pane.scores = made;
  }
  if (!ready().length) return;
  chosenChanged();
  later("constants");
}

function choosePanes() {
  const [model, beside] = [Number($("model").value), $("beside").value];
  panes = [new Pane(model, about.models[model]), ...(beside === "" || Number(beside) === model ? [] : [new Pane(Number(beside), about.models[beside])])];
  document.body.classList.toggle("two-models", panes.length > 1);
  $("scores").replaceChildren();
  showNames();
  read();
}

function begin() {
  for (const [language, { name }] of Object.entries(LANGUAGES)) {
    const button = element("button", { type: "button", lang: language, text: name });
    button.addEventListener("click", () => {
      localStorage.setItem(LANGUAGE, language);
      speak(language);
    });
    $("languages").append(button);
  }
  $("beside").append(element("option", { value: "" }));
  about.models.forEach(({ name, cell }, at) => {
    for (const id of ["model", "beside"]) $(id).append(element("option", { value: at, text: `${name} (${cell})` }));
  });
  $("beside-field").hidden = about.models.length < 2;
  if (about.models.length > 1) $("beside").value = "1";
  $("text").value = say("sample");
  listen();
  choosePanes();
  showWords();
  for (const id of Object.keys(SECTIONS)) observer.observe($(id));
}

function listen() {
  let composing = false;
  $("text").addEventListener("compositionstart", () => (composing = true));
  $("text").addEventListener("compositionend", () => {
    composing = false;
    textChanged();
  });
  $("text").addEventListener("input", () => {
    if (!composing) textChanged();
  });
  $("write").addEventListener("click", write);
  $("stop").addEventListener("click", () => attempt(() => ask("stop", {})));
  $("temperature").addEventListener("input", () => {
    $("temperature-value").textContent = say.number(Number($("temperature").value), 1);
  });
  $("model").addEventListener("change", choosePanes);
  $("beside").addEventListener("change", choosePanes);
  $("before").addEventListener("click", () => walk(-1));
  $("after").addEventListener("click", () => walk(1));
  $("find").addEventListener("click", findUnits);
  $("colours").addEventListener("change", async (event) => {
    colour = event.target.value;
    if (!ready().length) return;
    if (colour === "unit") await Promise.all(ready().map(loadUnit));
    if (colour === "gradient") await loadLags();
    colourAgain();
  });
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    later("lag");
    later("constants");
  });
}

async function start() {
  say = speaker(preferred(localStorage.getItem(LANGUAGE), navigator.languages));
  about = await ask("about");
  begin();
}

start().catch((error) => setStatus(told(error)));
