/**
 * States and gates of one layer as strips: units from left to right, the last tokens from top (now) to bottom.
 *
 * A strip takes the keyboard: left and right choose a unit, up and down a token, Home and End the first and last unit;
 * what it shows there is said in numbers below it. The table behind holds the numbers of the last token.
 */

const ROWS = 24;
const LIGHT = { low: [33, 102, 172], none: [247, 247, 247], high: [178, 82, 8] };
const DARK = { low: [116, 180, 234], none: [28, 28, 27], high: [240, 160, 72] };

/** Blue for -1, orange for 1, the page's own shade for 0; the two differ for every kind of colour vision. */
export function shade(value, dark) {
  const { low, none, high } = dark ? DARK : LIGHT;
  const amount = Math.min(1, Math.abs(value));
  const end = value < 0 ? low : high;
  return none.map((from, k) => Math.round(from + (end[k] - from) * amount));
}

function element(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

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
    this.#name = element("span", { className: "name" });
    this.#canvas = element("canvas", { width: size, height: ROWS, tabIndex: 0 });
    this.#canvas.setAttribute("role", "img");
    this.#cursor = element("div", { className: "cursor", hidden: true });
    this.#said = element("output");
    const plot = element("div", { className: "plot" }, [this.#canvas, this.#cursor]);
    this.element = element("div", { className: "strip" }, [this.#name, plot, this.#said]);
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
    this.#name.replaceChildren(element("b", { textContent: this.#letter }), ` ${name}`);
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
    for (let row = 0, at = 0; row < ROWS; row += 1) {
      for (let unit = 0; unit < this.#size; unit += 1, at += 4) {
        const [red, green, blue] = shade(this.#history[row]?.[unit] ?? 0, dark);
        image.data[at] = red;
        image.data[at + 1] = green;
        image.data[at + 2] = blue;
        image.data[at + 3] = 255;
      }
    }
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
  #letters;
  #last = null;

  constructor(number, letters, size) {
    this.number = number;
    this.#letters = letters;
    this.#strips = letters.map((letter) => new Strip(letter, size));
    const table = element("table", {}, [element("thead", {}, [this.#head]), this.#body]);
    const scroll = element("div", { className: "scroll", tabIndex: 0 }, [table]);
    this.#details = element("details", {}, [this.#summary, scroll]);
    this.#details.addEventListener("toggle", () => this.fill());
    this.element = element("div", {}, [this.#title, ...this.#strips.map((strip) => strip.element), this.#details]);
  }

  speak(say) {
    this.#title.textContent = say("layer", { layer: this.number });
    this.#summary.textContent = say("table", { layer: this.number });
    this.#details.lastChild.setAttribute("aria-label", this.#summary.textContent);
    this.#details.lastChild.setAttribute("role", "region");
    const cells = [say("unit"), ...this.#letters].map((text) => element("th", { textContent: text, scope: "col" }));
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
      element("tr", {}, [
        element("th", { textContent: unit, scope: "row" }),
        ...columns.map((column) => element("td", { textContent: column[unit].toFixed(3) })),
      ]),
    );
    this.#body.replaceChildren(...rows);
  }
}
