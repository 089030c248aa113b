/** The page: what is chosen, what is asked of the server, which panel shows what. */

import { LANGUAGES, preferred, speaker } from "./messages.js";
import { Marks, SURPRISE, element, graphemes, quoted, surpriseLevel, unitLevel } from "./views.js";
import { constants, equations, everyCharacter, inspector, lags, named, readout, scores } from "./panels.js";

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

/** What the server answers; an Error with its line where it refuses. */
async function ask(name, asked) {
  const options =
    asked === undefined
      ? {}
      : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(asked) };
  let answer;
  try {
    answer = await fetch(`api/${name}`, options);
  } catch {
    throw new Error(say("gone"));
  }
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

/** One model and what it read. */
class Pane {
  constructor(model) {
    this.model = model;
    this.info = about.models[model];
    this.trace = null;
    this.marks = [];
    this.steps = new Map();
    this.layer = this.info.layers - 1;
    this.unit = 0;
    this.quantity = null;
    this.found = null;
    this.view = null;
    this.peeked = null;
    this.lag = null;
  }

  take(answer) {
    this.trace = answer;
    this.steps.clear();
    this.lag = null;
    this.values = null;
    this.marks = joined(answer);
  }

  /** The index of the mark that holds the chosen character. */
  get chosen() {
    const at = this.marks.findIndex((mark) => mark.end >= offset);
    return at < 0 ? this.marks.length - 1 : at;
  }

  async step(index) {
    const { last } = this.marks[index];
    if (!this.steps.has(last)) {
      const asked = ask("step", { trace: this.trace.trace, place: last });
      this.steps.set(last, asked);
      asked.catch(() => this.steps.delete(last));
    }
    const { first, bits, text: shown } = this.marks[index];
    const found = await this.steps.get(last);
    return first === last ? { ...found, shown } : { ...found, shown, bits };
  }
}

/** The pieces of an answer joined to characters as people see them: `{ text, bits, first, last, end }`. */
function joined({ pieces, starts, bits, tokens }) {
  const borders = new Set(graphemes(pieces.join("")));
  const marks = [];
  let open = null;
  let end = 0;
  pieces.forEach((piece, at) => {
    end += piece.length;
    const last = (at + 1 < starts.length ? starts[at + 1] : tokens) - 1;
    open ??= { text: "", bits: 0, first: starts[at] };
    open = { ...open, text: open.text + piece, bits: open.bits + (bits[at] ?? 0), last, end };
    if (borders.has(end) || at + 1 === pieces.length) {
      marks.push(open);
      open = null;
    }
  });
  return marks;
}

function setStatus(line) {
  $("status").textContent = line;
}

async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    setStatus(error.message);
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
    panes.forEach((pane) => (pane.trace = null));
    setStatus(say("no_text"));
    showReadings();
    return;
  }
  setStatus(say("working"));
  for (const pane of panes) {
    const answer = await attempt(() => ask("trace", { model: pane.model, text }));
    if (mine !== reading) return;
    if (!answer) return;
    pane.take(answer);
  }
  setStatus("");
  offset = Math.min(offset || graphemes(text)[0], text.length);
  if (colour === "unit") await Promise.all(panes.map(loadUnit));
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
  const shares = gradientShares(pane);
  return { kind: "s", levels: pane.marks.map((_, at) => SHARES.filter((least) => (shares.get(at) ?? 0) >= least).length) };
}

/** For each mark the largest gradient of the chosen character's surprise by one of its tokens, as a share. */
function gradientShares(pane) {
  const shares = new Map();
  if (!pane.lag) return shares;
  const largest = Math.max(...pane.lag.by_input);
  pane.marks.forEach((mark, at) => {
    for (let place = mark.first; place <= mark.last; place++) {
      const value = pane.lag.by_input[pane.lag.place - 1 - place];
      if (value !== undefined && largest > 0) shares.set(at, Math.max(shares.get(at) ?? 0, value / largest));
    }
  });
  return shares;
}

function colourAgain() {
  for (const pane of panes) {
    if (!pane.trace || !pane.view) continue;
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
      return element("div", {}, paneName(pane), element("p", { class: "note", text: say("no_text") }));
    }
    pane.view = new Marks({
      label: say("walk", { model: pane.info.name }),
      describe: (index) => describe(pane, index),
      onChoose: (index) => choose(pane.marks[index].end),
      onPeek: (index) => peek(pane, index),
    });
    pane.line = element("div", { class: "line-below" });
    const { kind, levels } = levelsOf(pane);
    pane.view.chosen = pane.chosen;
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
  if (panes.some((pane) => !pane.trace)) for (const id of ["inspectors", "equations", "lags", "times"]) $(id).replaceChildren();
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
  for (const pane of panes) if (pane.view) pane.view.choose(pane.chosen);
  chosenChanged();
}

function walk(direction) {
  const pane = panes[0];
  const mark = pane?.marks[pane.chosen + direction];
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
  if (panes.some((pane) => !pane.trace)) return;
  const mine = ++inspecting;
  const steps = await attempt(() =>
    Promise.all(panes.map((pane) => pane.step(end === null ? pane.chosen : Math.max(0, pane.marks.findIndex((mark) => mark.end >= end))))),
  );
  if (!steps || mine !== inspecting) return;
  const focused = focusKept();
  const parts = panes.map((pane, at) => {
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
  const number = $("inspectors").children[panes.indexOf(pane)]?.querySelector("input[type=number]");
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
    if (!dirty.delete(name) || panes.some((pane) => !pane.trace)) return;
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
  for (const pane of panes) {
    let made;
    try {
      made = await make(pane);
    } catch (error) {
      made = element("p", { class: "note", text: error.message });
    }
    if (from !== now()) return;
    parts.push(element("div", {}, paneName(pane), made));
  }
  $(id).replaceChildren(...parts);
}

const here = () => `${reading} ${offset} ${panes.map((pane) => `${pane.layer} ${pane.unit}`)}`;

function showEquations() {
  return fill("equations", here, async (pane) => {
    const mark = pane.marks[pane.chosen];
    const asked = { trace: pane.trace.trace, place: mark.last, layer: pane.layer, unit: pane.unit };
    pane.found = await ask("equations", asked);
    return equationsOf(pane, mark.text);
  });
}

function equationsOf(pane, shown) {
  return equations(pane.found, {
    phase,
    say,
    shown,
    onPhase: (index) => {
      phase = index;
      panes.forEach((each, at) => {
        const made = equationsOf(each, each.marks[each.chosen].text);
        $("equations").children[at].lastChild.replaceWith(made);
        if (each === pane) made.querySelectorAll(".phases button")[index].focus();
      });
    },
  });
}

async function loadLags() {
  for (const pane of panes) {
    const place = pane.marks[pane.chosen].first;
    if (pane.lag?.place === place) continue;
    pane.lag = null;
    if (place < 1) continue;
    const found = await ask("lag", { trace: pane.trace.trace, place }).catch(() => null);
    if (found) pane.lag = { ...found, place };
  }
}

function showLags() {
  return fill("lags", here, async (pane) => {
    const mark = pane.marks[pane.chosen];
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
    return scoresOf(pane);
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
  panes.forEach((pane, at) => {
    if (pane.scored) $("scores").children[at]?.lastChild.replaceWith(scoresOf(pane));
  });
  if (!panes.every((pane) => pane.trace)) return;
  chosenChanged();
  later("constants");
}

function choosePanes() {
  const [model, beside] = [Number($("model").value), $("beside").value];
  panes = [new Pane(model), ...(beside === "" || Number(beside) === model ? [] : [new Pane(Number(beside))])];
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
    if (!panes.every((pane) => pane.trace)) return;
    if (colour === "unit") await Promise.all(panes.map(loadUnit));
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

start().catch((error) => setStatus(error.message));
