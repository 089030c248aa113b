/** The page that `longhold export --to html` makes: a model that writes, and what goes on in it while it does. */

import { Encoder, IntegerGenerator, Stepper, StreamDecoder, TOTAL, bytesOf, draw } from "./stepper.js";
import { LayerStrips, shade } from "./strips.js";
import { SURPRISE, element, quoted, surpriseLevel } from "./views.js";
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

/** The model as it writes: what it has read, what it expects, and the generator that draws. */
class Writer {
  constructor(packed) {
    this.packed = packed;
    this.stepper = new Stepper(packed);
    this.encoder = new Encoder(packed);
    this.decoder = new StreamDecoder(packed);
    this.begin("", 0);
  }

  /** Read the prime, or the token after which texts begin; returns what of it no token can spell. */
  begin(prime, seed) {
    this.generator = new IntegerGenerator(seed);
    this.decoder.flush();
    this.stepper.reset();
    this.count = 0;
    const { ids, unknown } = this.encoder.encode(prime);
    for (const id of ids.length ? ids : [this.packed.start]) this.expected = this.stepper.step(id);
    return unknown;
  }

  odds(temperature) {
    return this.stepper.frequencies(temperature);
  }

  /** Write one token, drawn or as chosen: the characters that it completes, and the model's surprise at it in bits. */
  write(temperature, chosen = null) {
    const token = chosen ?? draw(this.odds(temperature), this.generator);
    const bits = -Math.log2(this.expected[token] / TOTAL);
    this.expected = this.stepper.step(token);
    this.count += 1;
    return [this.decoder.push(token), bits];
  }
}

/** A token as something to read on one line; bytes that are no character as numbers. */
function label(token) {
  const bytes = bytesOf(token);
  try {
    return quoted(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
  }
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
    this.writer = new Writer(packed);
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
    byId("run").addEventListener("click", () => (this.running ? this.pause() : this.run()));
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
    byId("run").textContent = say(this.running ? "pause" : "run");
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

  again() {
    this.stop();
    const seed = byId("seed").value.trim();
    if (!/^\d+$/.test(seed) || !Number.isSafeInteger(Number(seed))) {
      this.status("badSeed");
      return false;
    }
    const prime = byId("prime").value;
    const unknown = this.writer.begin(prime, Number(seed));
    byId("primed").textContent = prime;
    this.text.clear();
    for (const layer of this.layers) layer.clear();
    this.look();
    this.paint();
    this.begun = { prime, seed };
    const some = Array.from(new Set(unknown)).slice(0, 20).join(" ");
    this.status(...(unknown.length ? ["unknown", { unknown: some }] : ["ready"]));
    return true;
  }

  /** Begin again where the person has changed what to begin with. */
  ready() {
    const changed = byId("prime").value !== this.begun?.prime || byId("seed").value.trim() !== this.begun?.seed;
    return changed ? this.again() : true;
  }

  run() {
    if (!this.ready()) return;
    this.running = true;
    this.due = 1;
    this.last = performance.now();
    byId("run").textContent = say("pause");
    if (this.said[0] !== "unknown") this.status("writing");
    requestAnimationFrame((now) => this.turn(now));
  }

  stop() {
    this.running = false;
    byId("run").textContent = say("run");
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
    if (this.running) this.pause();
    const before = this.writer.count;
    if (chosen === null && !this.ready()) return;
    this.write(chosen);
    if (this.writer.count > before) this.status("paused", { count: this.writer.count.toLocaleString(language) });
    this.paint();
  }

  write(chosen) {
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
