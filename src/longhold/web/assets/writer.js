/** The page that `longhold export --to html` makes: a model that writes, and what goes on in it while it does. */

import { Scribe, label } from "./scribe.js";
import { IntegerGenerator, Stepper, TOTAL, draw } from "./stepper.js";
import { LayerStrips, shade } from "./strips.js";
import { SURPRISE, element, surpriseLevel } from "./views.js";
import { SAY } from "./writer-words.js";

const MOST_TEXT = 100000;
const SPEEDS = [1, 2, 4, 8, 15, 30, 60, 125, 250, 500, Infinity];
const LONGEST_TURN = 24;
const ODDS = 12;
const BLOCK = 400;

const byId = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const still = matchMedia("(prefers-reduced-motion: reduce)");

let language = navigator.language.startsWith("zh") ? "zh" : "en";

function say(key, values = {}) {
  return SAY[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/**
 * The text as it grows, marked by surprise; neighbours that are marked alike share an element. A block ends at a line
 * break, so that a long text is not laid out anew at every token.
 */
class Written {
  #block;
  #inBlock;
  #level;
  #bits;
  #node;

  constructor(place) {
    this.place = place;
    this.clear();
  }

  clear() {
    this.place.replaceChildren();
    this.length = this.#bits = 0;
    this.#begin();
  }

  #begin() {
    this.#block = element("div");
    this.#inBlock = 0;
    this.#level = null;
    this.place.append(this.#block);
  }

  /** Add what a token completed; the bits of tokens that completed nothing count for the character that comes. */
  add(text, bits) {
    this.#bits += bits;
    if (!text) return;
    const level = surpriseLevel(this.#bits);
    if (level !== this.#level) {
      this.#node = document.createTextNode("");
      this.#block.append(element("span", { class: `mark s${level}` }, this.#node));
      this.#level = level;
    }
    this.#node.appendData(text);
    this.length += text.length;
    this.#inBlock += text.length;
    this.#bits = 0;
    if (this.#inBlock > BLOCK && text.endsWith("\n")) this.#begin();
  }
}

class Page {
  constructor(packed) {
    this.packed = packed;
    this.writer = new Scribe(packed);
    this.labels = packed.tokens.map(label);
    this.text = new Written(byId("written"));
    this.layers = this.writer.stepper.gates().map((view, row) => {
      const names = { rnn: [], gru: ["r", "z", "n"], lstm: ["i", "f", "g", "o"] }[packed.cell];
      return new LayerStrips(row + 1, [...names, ...(view.c ? ["c"] : []), "h"], view.h.length);
    });
    this.scale = element("p", { class: "scale" });
    byId("layers").append(this.scale, ...this.layers.map((layer) => layer.element));
    this.buttons = Array.from({ length: Math.min(ODDS, packed.tokens.length) }, () => this.oddsButton());
    this.listen();
    this.speak();
    this.again();
  }

  oddsButton() {
    const bar = element("span", { class: "bar", "aria-hidden": "true" });
    const [name, share] = [element("bdi"), element("span", { class: "share" })];
    const button = element("button", { type: "button" }, bar, name, share);
    button.addEventListener("click", () => this.one(Number(button.value)));
    byId("odds").append(element("li", {}, button));
    return { button, bar, name, share };
  }

  listen() {
    byId("run").addEventListener("click", () => (this.reading ? this.cancel() : this.running ? this.pause() : this.run()));
    byId("step").addEventListener("click", () => this.one(null));
    byId("again").addEventListener("click", () => this.again());
    for (const dial of ["temperature", "speed"]) byId(dial).addEventListener("input", () => this.dials());
    for (const button of document.querySelectorAll("[data-language]")) {
      button.addEventListener("click", () => {
        language = button.dataset.language;
        this.speak();
      });
    }
    dark.addEventListener("change", () => this.paint());
  }

  get temperature() {
    return Number(byId("temperature").value);
  }

  get speed() {
    return SPEEDS[Number(byId("speed").value)];
  }

  speak() {
    const { cell, layers, hidden_size: size, tokens, bits, facts } = this.packed;
    document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
    document.title = say("title");
    for (const place of document.querySelectorAll("[data-say]")) place.textContent = say(place.dataset.say);
    for (const button of document.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    }
    const known = say("facts", { cell: cell.toUpperCase(), layers: layers.length, size, tokens: tokens.length, bits });
    const heldOut = facts.held_out_bits_per_character;
    byId("facts").textContent = heldOut ? `${known}; ${say("heldOut", { bits: heldOut.toFixed(2) })}` : known;
    this.nameRun();
    for (const layer of this.layers) layer.speak(say);
    this.legend();
    this.status(...(this.said ?? ["ready"]));
    this.dials();
  }

  /** What the marks in the text mean. */
  legend() {
    const steps = [say("below", { bits: SURPRISE[0] }), ...SURPRISE];
    const swatches = steps.map((text, level) => element("span", { class: `mark s${level}`, text }));
    byId("legend").replaceChildren(say("surprise"), ...swatches);
  }

  status(key, values = {}) {
    this.said = [key, values];
    byId("status").textContent = say(key, values);
  }

  dials() {
    byId("temperature-value").textContent = (this.temperature / 100).toFixed(2);
    const { speed } = this;
    byId("speed-value").textContent = speed === Infinity ? say("fastest") : say("perSecond", { speed });
    byId("speed").setAttribute("aria-valuetext", byId("speed-value").textContent);
    byId("temperature").setAttribute("aria-valuetext", byId("temperature-value").textContent);
    this.paint();
  }

  /** Read what to begin with; `then` is done once it is read. */
  again(then = () => {}) {
    this.stop();
    const seed = byId("seed").value.trim();
    if (!/^\d+$/.test(seed) || !Number.isSafeInteger(Number(seed))) {
      this.status("badSeed");
      return;
    }
    this.read({ seed, then, prime: byId("prime").value });
  }

  /** Read in turns that leave the page quick; another reading or a cancelled one is left alone. */
  read(reading) {
    this.begun = null;
    this.reading = reading;
    reading.unknown = this.writer.begin(reading.prime, Number(reading.seed));
    this.text.clear();
    for (const layer of this.layers) layer.clear();
    byId("primed").textContent = reading.prime;
    const turn = () => {
      if (this.reading !== reading) return;
      if (this.writer.read(LONGEST_TURN)) this.begin(reading);
      else setTimeout(turn);
      this.tellReading();
    };
    turn();
    this.nameRun();
  }

  begin({ prime, seed, unknown, then }) {
    this.reading = null;
    this.begun = { prime, seed };
    this.nameRun();
    this.look();
    this.paint();
    const some = Array.from(new Set(unknown)).slice(0, 20).join(" ");
    this.status(...(unknown.length ? ["unknown", { unknown: some }] : ["ready"]));
    then();
  }

  /** How far the reading is, in tenths: it is read out. */
  tellReading() {
    if (!this.reading) return;
    const { done, prime } = this.writer;
    const tenths = Math.floor((10 * done) / prime.length);
    if (tenths === this.reading.tenths) return;
    this.reading.tenths = tenths;
    this.status("reading", { share: 10 * tenths, count: prime.length.toLocaleString(language) });
  }

  /** Leave the prime unread. */
  cancel() {
    this.read({ prime: "", seed: this.reading.seed, then: () => this.status("cancelled") });
    this.begun = null;
  }

  /** Do it now, or after reading again what the person has changed. */
  ready(work) {
    const changed = byId("prime").value !== this.begun?.prime || byId("seed").value.trim() !== this.begun?.seed;
    if (changed) this.again(work);
    else work();
  }

  nameRun() {
    byId("run").textContent = say(this.reading ? "cancel" : this.running ? "pause" : "run");
  }

  run() {
    this.ready(() => this.start());
  }

  start() {
    this.running = true;
    this.due = 1;
    this.last = performance.now();
    this.nameRun();
    if (this.said[0] !== "unknown") this.status("writing");
    requestAnimationFrame((now) => this.turn(now));
  }

  stop() {
    this.running = false;
    this.nameRun();
  }

  pause() {
    this.stop();
    this.status("paused", { count: this.writer.count.toLocaleString(language) });
    this.paint();
  }

  /** Write what is due at this speed, as long as the page stays quick. */
  turn(now) {
    if (!this.running) return;
    this.due += ((now - this.last) * Math.min(this.speed, 1e6)) / 1000;
    this.last = now;
    const end = performance.now() + LONGEST_TURN;
    while (this.due >= 1 && this.running && performance.now() < end) {
      this.write(null);
      this.due -= 1;
    }
    this.due = Math.min(this.due, Math.max(1, this.speed === Infinity ? 1 : this.due % 1));
    this.paint();
    requestAnimationFrame((later) => this.turn(later));
  }

  one(chosen) {
    if (this.reading) return;
    if (this.running) this.pause();
    const work = () => {
      const before = this.writer.count;
      this.write(chosen);
      if (this.writer.count > before) this.status("paused", { count: this.writer.count.toLocaleString(language) });
      this.paint();
    };
    if (chosen === null) this.ready(work);
    else work();
  }

  write(chosen) {
    if (chosen !== null && !this.writer.allows(chosen)) return; // the button was painted earlier in the text
    if (this.text.length >= MOST_TEXT) {
      this.stop();
      this.status("full", { count: MOST_TEXT.toLocaleString(language) });
      return;
    }
    this.text.add(...this.writer.write(this.temperature, chosen));
    this.look();
  }

  look() {
    this.writer.stepper.gates().forEach((view, row) => {
      if (Object.keys(view.gates).length || this.packed.cell === "rnn") this.layers[row].push(view);
    });
  }

  /** Show the state of things; a page that should keep still is not repainted while it writes. */
  paint() {
    byId("text").scrollTop = byId("text").scrollHeight;
    if (this.running && still.matches) return;
    this.paintOdds();
    for (const layer of this.layers) {
      layer.paint(dark.matches);
      if (!this.running) layer.fill();
    }
    this.paintScale();
  }

  paintOdds() {
    const found = this.writer.odds(this.temperature);
    const order = largest(found, this.buttons.length);
    this.buttons.forEach(({ button, bar, name, share }, rank) => {
      const token = order[rank];
      button.style.visibility = this.writer.allows(token) ? "" : "hidden";
      const part = found[token] / TOTAL;
      button.value = token;
      name.textContent = this.labels[token];
      share.textContent = `${(100 * part).toFixed(1)} %`;
      bar.style.width = `${100 * part}%`;
    });
  }

  paintScale() {
    const canvas = element("canvas", { width: 96, height: 1, "aria-hidden": "true" });
    const context = canvas.getContext("2d");
    for (let x = 0; x < 96; x += 1) {
      context.fillStyle = `rgb(${shade(x / 47.5 - 1, dark.matches).join(",")})`;
      context.fillRect(x, 0, 1, 1);
    }
    this.scale.replaceChildren("−1", canvas, "1");
  }
}

/** Indices of the largest numbers, the largest first, of equals the first. */
function largest(numbers, count) {
  const best = [];
  for (let k = 0; k < numbers.length; k += 1) {
    if (best.length === count && numbers[k] <= numbers[best[count - 1]]) continue;
    let at = best.length;
    while (at > 0 && numbers[best[at - 1]] < numbers[k]) at -= 1;
    best.splice(at, 0, k);
    best.length = Math.min(best.length, count);
  }
  return best;
}

const packed = JSON.parse(byId("model").textContent);
const page = new Page(packed);

/** For the console: the model of this page and the stepper that runs it. */
globalThis.longhold = { packed, page, Stepper, IntegerGenerator, draw };
