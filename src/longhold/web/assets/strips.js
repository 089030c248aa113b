/**
 * States and gates of one layer as strips: units from left to right, the last tokens from top (now) to bottom.
 *
 * A strip takes the keyboard: left and right choose a unit, up and down a token, Home and End the first and last unit;
 * what it shows there is said in numbers below it. The table behind holds the numbers of the last token.
 */

import { element } from "./views.js";

const ROWS = 24;
const SHADES = 200;
const LIGHT = { low: [33, 102, 172], none: [247, 247, 247], high: [178, 82, 8] };
const DARK = { low: [116, 180, 234], none: [28, 28, 27], high: [240, 160, 72] };

/** Blue for -1, orange for 1, the page's own shade for 0; the two differ for every kind of colour vision. */
export function shade(value, dark) {
  const { low, none, high } = dark ? DARK : LIGHT;
  const amount = Math.min(1, Math.abs(value));
  const end = value < 0 ? low : high;
  return none.map((from, k) => Math.round(from + (end[k] - from) * amount));
}

/** The shades from -1 to 1 as pixels, 2 SHADES + 1 of them. */
function pixelsOf(dark) {
  const bytes = new Uint8ClampedArray(4 * (2 * SHADES + 1)).fill(255);
  for (let k = 0; k <= 2 * SHADES; k += 1) bytes.set(shade(k / SHADES - 1, dark), 4 * k);
  return new Uint32Array(bytes.buffer);
}

const PIXELS = { light: pixelsOf(false), dark: pixelsOf(true) };

class Strip {
  #history = [];
  #chosen = { unit: 0, row: 0 };
  #size;
  #canvas;
  #cursor;
  #said;
  #name;
  #letter;

  constructor(letter, size) {
    this.#letter = letter;
    this.#size = size;
    this.#name = element("span", { class: "name" });
    this.#canvas = element("canvas", { width: size, height: ROWS, tabindex: 0, role: "img" });
    this.#cursor = element("div", { class: "cursor", hidden: true });
    this.#said = element("output");
    const plot = element("div", { class: "plot" }, this.#canvas, this.#cursor);
    this.element = element("div", { class: "strip" }, this.#name, plot, this.#said);
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#canvas.addEventListener("focus", () => this.#point());
    this.#canvas.addEventListener("blur", () => this.#leave());
    this.#canvas.addEventListener("pointermove", (event) => this.#hover(event));
    this.#canvas.addEventListener("pointerdown", (event) => this.#hover(event));
    this.#canvas.addEventListener("pointerleave", () => document.activeElement === this.#canvas || this.#leave());
  }

  speak(say, layer) {
    this.say = say;
    const name = say(`quantity_${this.#letter}`);
    this.#name.replaceChildren(element("b", { text: this.#letter }), ` ${name}`);
    this.#canvas.setAttribute("aria-label", say("strip", { layer, letter: this.#letter, name, units: this.#size }));
    this.#tell();
  }

  clear() {
    this.#history = [];
  }

  push(values) {
    this.#history.unshift(Float32Array.from(values));
    this.#history.length = Math.min(this.#history.length, ROWS);
  }

  paint(dark) {
    const context = this.#canvas.getContext("2d");
    const image = context.createImageData(this.#size, ROWS);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = dark ? PIXELS.dark : PIXELS.light;
    pixels.fill(colours[SHADES]);
    this.#history.forEach((values, row) => {
      for (let unit = 0, at = row * this.#size; unit < this.#size; unit += 1, at += 1) {
        const value = Math.max(-1, Math.min(1, values[unit]));
        pixels[at] = colours[Math.round((value + 1) * SHADES)];
      }
    });
    context.putImageData(image, 0, 0);
    this.#tell();
  }

  #key(event) {
    const { unit, row } = this.#chosen;
    const to = {
      ArrowLeft: [unit - 1, row],
      ArrowRight: [unit + 1, row],
      ArrowUp: [unit, row - 1],
      ArrowDown: [unit, row + 1],
      Home: [0, row],
      End: [this.#size - 1, row],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    this.#choose(...to);
  }

  #hover(event) {
    const box = this.#canvas.getBoundingClientRect();
    const unit = Math.floor(((event.clientX - box.left) / box.width) * this.#size);
    this.#choose(unit, Math.floor(((event.clientY - box.top) / box.height) * ROWS));
  }

  #choose(unit, row) {
    const within = (value, end) => Math.max(0, Math.min(end - 1, value));
    this.#chosen = { unit: within(unit, this.#size), row: within(row, ROWS) };
    this.#point();
  }

  #point() {
    const { unit, row } = this.#chosen;
    Object.assign(this.#cursor.style, {
      left: `calc(${(100 * unit) / this.#size}% - 2px)`,
      top: `calc(${(100 * row) / ROWS}% - 2px)`,
      width: `calc(${100 / this.#size}% + 4px)`,
      height: `calc(${100 / ROWS}% + 4px)`,
    });
    this.#cursor.hidden = false;
    this.#tell();
  }

  #leave() {
    this.#cursor.hidden = true;
    this.#said.textContent = "";
  }

  #tell() {
    if (this.#cursor.hidden) return;
    const { unit, row } = this.#chosen;
    const value = this.#history[row]?.[unit];
    const number = value === undefined ? this.say("nothingYet") : value.toFixed(3);
    this.#said.textContent = this.say(row === 0 ? "unitNow" : "unitBefore", { unit, row, number });
  }
}

/** The strips of one layer of `gates()`, with the table of its last step. */
export class LayerStrips {
  #strips;
  #title = element("h3");
  #summary = element("summary");
  #body = element("tbody");
  #head = element("tr");
  #details;
  #scroll;
  #letters;
  #last = null;

  constructor(number, letters, size) {
    this.number = number;
    this.#letters = letters;
    this.#strips = letters.map((letter) => new Strip(letter, size));
    const table = element("table", {}, element("thead", {}, this.#head), this.#body);
    this.#scroll = element("div", { class: "scroll", tabindex: 0, role: "region" }, table);
    this.#details = element("details", {}, this.#summary, this.#scroll);
    this.#details.addEventListener("toggle", () => this.fill());
    this.element = element("div", {}, this.#title, ...this.#strips.map((strip) => strip.element), this.#details);
  }

  speak(say) {
    this.#title.textContent = say("layer", { layer: this.number });
    this.#summary.textContent = say("table", { layer: this.number });
    this.#scroll.setAttribute("aria-label", this.#summary.textContent);
    const cells = [say("unit"), ...this.#letters].map((text) => element("th", { text, scope: "col" }));
    this.#head.replaceChildren(...cells);
    for (const strip of this.#strips) strip.speak(say, this.number);
  }

  clear() {
    this.#last = null;
    for (const strip of this.#strips) strip.clear();
  }

  push({ h, c, gates }) {
    this.#last = { ...gates, c, h };
    this.#letters.forEach((letter, k) => this.#strips[k].push(this.#last[letter]));
  }

  paint(dark) {
    for (const strip of this.#strips) strip.paint(dark);
  }

  /** Bring the table up to date, if it is open. */
  fill() {
    if (!this.#details.open || !this.#last) return;
    const columns = this.#letters.map((letter) => this.#last[letter]);
    const rows = columns[0].map((_, unit) =>
      element(
        "tr",
        {},
        element("th", { text: unit, scope: "row" }),
        ...columns.map((column) => element("td", { text: column[unit].toFixed(3) })),
      ),
    );
    this.#body.replaceChildren(...rows);
  }
}
