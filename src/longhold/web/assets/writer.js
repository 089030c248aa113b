/** The page that `longhold export --to html` makes: a model that writes, and what goes on in it while it does. */

import { Encoder, IntegerGenerator, Stepper, StreamDecoder, TOTAL, bytesOf, draw } from "./stepper.js";
import { LayerStrips, shade } from "./strips.js";

const MOST_TEXT = 200000;
const SPEEDS = [1, 2, 4, 8, 15, 30, 60, 125, 250, 500, Infinity];
const LONGEST_TURN = 24;
const ODDS = 12;

const SAY = {
  en: {
    title: "A small network that writes",
    facts: "{cell}, {layers} × {size} units, {tokens} tokens, {bits}-bit weights",
    heldOut: "{bits} bits per character on text it had not seen",
    controls: "Write",
    prime: "Begin with",
    run: "Start",
    pause: "Pause",
    step: "One token",
    again: "Begin again",
    temperature: "Temperature",
    speed: "Speed",
    perSecond: "{speed} tokens a second",
    fastest: "as fast as it can",
    seed: "Seed of the draws",
    text: "Text",
    odds: "What may come next",
    oddsHint: "Share of each token at this temperature. Press one to choose it yourself.",
    inside: "Inside, as it writes",
    insideHint:
      "Units from left to right, the last 24 tokens from top (now) to bottom. Point at a strip, or focus it and use the arrow keys, to read its numbers.",
    recites: "The text is made up one token at a time. A network can repeat parts of the text it was trained on.",
    alone: "This page is one file: it loads nothing, sends nothing and keeps nothing. Made with longhold.",
    layer: "Layer {layer}",
    table: "Table: layer {layer} after the last token",
    unit: "unit",
    strip: "Layer {layer}, {letter}, {name}: {units} units, last 24 tokens; arrow keys read the numbers",
    unitNow: "unit {unit}, now: {number}",
    unitBefore: "unit {unit}, {row} before: {number}",
    nothingYet: "nothing yet",
    quantity_i: "input gate",
    quantity_f: "forget gate",
    quantity_g: "candidate",
    quantity_o: "output gate",
    quantity_r: "reset gate",
    quantity_z: "update gate",
    quantity_n: "candidate",
    quantity_c: "cell state (tanh)",
    quantity_h: "hidden state",
    ready: "Ready.",
    writing: "Writing.",
    paused: "Paused after {count} tokens.",
    full: "Paused: the page holds {count} characters at most. Begin again to go on.",
    unknown: "Left out of what it reads, since the model has no token for it: {unknown}",
    badSeed: "The seed must be a whole number from 0 to 9007199254740991.",
  },
  zh: {
    title: "会写字的小网络",
    facts: "{cell}，{layers} × {size} 个单元，{tokens} 个词元，{bits} 位权重",
    heldOut: "在没见过的文本上每字符 {bits} 比特",
    controls: "书写",
    prime: "开头",
    run: "开始",
    pause: "暂停",
    step: "一个词元",
    again: "重新开始",
    temperature: "温度",
    speed: "速度",
    perSecond: "每秒 {speed} 个词元",
    fastest: "尽可能快",
    seed: "随机种子",
    text: "文本",
    odds: "下一个可能是",
    oddsHint: "在当前温度下各词元的份额。按其中一个，由你来选。",
    inside: "书写时的内部",
    insideHint: "从左到右是各单元，从上（现在）到下是最近 24 个词元。指向条带，或聚焦后用方向键，即可读出数值。",
    recites: "文本是一个词元一个词元编出来的。网络可能会重复训练文本中的片段。",
    alone: "本页只有一个文件：不加载、不发送、不保存任何东西。由 longhold 制作。",
    layer: "第 {layer} 层",
    table: "表格：第 {layer} 层在最后一个词元之后",
    unit: "单元",
    strip: "第 {layer} 层，{letter}，{name}：{units} 个单元，最近 24 个词元；用方向键读出数值",
    unitNow: "单元 {unit}，现在：{number}",
    unitBefore: "单元 {unit}，{row} 个词元之前：{number}",
    nothingYet: "还没有",
    quantity_i: "输入门",
    quantity_f: "遗忘门",
    quantity_g: "候选",
    quantity_o: "输出门",
    quantity_r: "重置门",
    quantity_z: "更新门",
    quantity_n: "候选",
    quantity_c: "细胞状态（tanh）",
    quantity_h: "隐藏状态",
    ready: "就绪。",
    writing: "正在书写。",
    paused: "写了 {count} 个词元后暂停。",
    full: "已暂停：本页最多容纳 {count} 个字符。请重新开始。",
    unknown: "模型没有对应的词元，读入时略去：{unknown}",
    badSeed: "种子必须是 0 到 9007199254740991 的整数。",
  },
};

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
    for (const id of ids.length ? ids : [this.packed.start]) this.stepper.step(id);
    return unknown;
  }

  odds(temperature) {
    return this.stepper.frequencies(temperature);
  }

  /** Write one token, drawn or as chosen; returns the characters that it completes. */
  write(temperature, chosen = null) {
    const token = chosen ?? draw(this.odds(temperature), this.generator);
    this.stepper.step(token);
    this.count += 1;
    return this.decoder.push(token);
  }
}

/** A token as something to read on one line. */
function label(token) {
  const bytes = bytesOf(token);
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
  }
  const marks = { "\n": "↵", "\t": "⇥", " ": "␣", "\r": "␍" };
  const shown = (c) => marks[c] ?? `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  return text.replace(/[\p{C}\p{Z}]/gu, shown);
}

class Page {
  constructor(packed) {
    this.packed = packed;
    this.writer = new Writer(packed);
    this.labels = packed.tokens.map(label);
    this.text = document.createTextNode("");
    byId("written").append(this.text);
    this.layers = this.writer.stepper.gates().map((view, row) => {
      const names = { rnn: [], gru: ["r", "z", "n"], lstm: ["i", "f", "g", "o"] }[packed.cell];
      return new LayerStrips(row + 1, [...names, ...(view.c ? ["c"] : []), "h"], view.h.length);
    });
    this.scale = document.createElement("p");
    this.scale.className = "scale";
    byId("layers").append(this.scale, ...this.layers.map((layer) => layer.element));
    this.buttons = Array.from({ length: Math.min(ODDS, packed.tokens.length) }, () => this.oddsButton());
    this.listen();
    this.speak();
    this.again();
  }

  oddsButton() {
    const button = document.createElement("button");
    const [bar, name, share] = ["span", "bdi", "span"].map((kind) => document.createElement(kind));
    bar.className = "bar";
    share.className = "share";
    button.type = "button";
    button.append(bar, name, share);
    button.addEventListener("click", () => this.one(Number(button.value)));
    const item = document.createElement("li");
    item.append(button);
    byId("odds").append(item);
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
    this.status(...(this.said ?? ["ready"]));
    this.dials();
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
    this.text.data = "";
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
    this.text.appendData(this.writer.write(this.temperature, chosen));
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
    const canvas = Object.assign(document.createElement("canvas"), { width: 96, height: 1 });
    const context = canvas.getContext("2d");
    for (let x = 0; x < 96; x += 1) {
      context.fillStyle = `rgb(${shade(x / 47.5 - 1, dark.matches).join(",")})`;
      context.fillRect(x, 0, 1, 1);
    }
    canvas.setAttribute("aria-hidden", "true");
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
