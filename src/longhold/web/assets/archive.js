/**
 * Reads the archives of `longhold compress`: the twin of longhold.compression. docs/compression.md has the format.
 */

import { Stepper, TOTAL, bytesOf } from "./stepper.js";

const MAGIC = "LHTX";
const VERSION = 1;
const ESCAPE = 16;
const TOP = 281474976710656;
const BOTTOM = 1099511627776;
const DIGEST = 16;
const SHA256 = 32;
const MOST_SEGMENTS = 64;
const WINDOW = 6;
const BEYOND = 8;
const DAMAGED = "the archive is truncated or damaged";

/**
 * The data of an archive, made with the model that `packed` holds; an Error in one line where that cannot be, or where
 * the archive says that it holds more than `limit` bytes. The model is stepped only while the archive's bytes last.
 */
export async function decompress(packed, archive, limit = Math.max(2 ** 18, 1000 * archive.length)) {
  const header = headerOf(archive);
  if (header.model !== packed.sha256.slice(0, 2 * DIGEST)) throw new Error("the archive was made with another model");
  if (header.segments > 0 && header.length > limit) {
    throw new Error(`the archive says that it holds ${header.length} bytes, expected at most ${limit}`);
  }
  const data = header.segments === 0 ? header.payload : decoded(packed, header);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  if (data.length !== header.length || hex(digest) !== header.sha256) throw new Error("the archive is damaged");
  return data;
}

function headerOf(archive) {
  if (String.fromCharCode(...archive.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new Error("not an archive of longhold compress");
  }
  if (archive[MAGIC.length] !== VERSION) throw new Error(`archive of version ${archive[MAGIC.length]}`);
  let at = MAGIC.length + 2;
  const model = hex(archive.subarray(at, at + DIGEST));
  at += DIGEST;
  const numbers = [0, 0, 0].map(() => {
    let [value, unit, byte] = [0, 1, 0];
    do {
      if (at >= archive.length || unit > BOTTOM * 512) throw new Error(DAMAGED);
      byte = archive[at];
      value += (byte % 128) * unit;
      unit *= 128;
      at += 1;
    } while (byte >= 128);
    return value;
  });
  const [length, symbols, segments] = numbers;
  if (at + SHA256 + 4 > archive.length || !isPossible(length, symbols, segments)) throw new Error(DAMAGED);
  const sha256 = hex(archive.subarray(at, at + SHA256));
  return { model, length, symbols, segments, sha256, payload: archive.subarray(at + SHA256 + 4) };
}

function isPossible(length, symbols, segments) {
  if (length > Number.MAX_SAFE_INTEGER) return false;
  if (segments === 0) return symbols === 0;
  const fits = (segments - 1) * Math.ceil(symbols / segments) < symbols;
  return segments <= MOST_SEGMENTS && symbols <= length && fits;
}

function decoded(packed, { payload, symbols, segments }) {
  const tokens = packed.tokens.map(bytesOf);
  const spelled = new Set(tokens.filter((token) => token.length === 1).map((token) => token[0]));
  const total = TOTAL + (spelled.size === 256 ? 0 : 256 * ESCAPE);
  const decoder = new RangeDecoder(payload);
  const first = new Stepper(packed);
  const rows = Array.from({ length: segments }, (_, row) => ({
    stepper: row === 0 ? first : first.fork(),
    read: packed.start,
    parts: [],
  }));
  const length = Math.ceil(symbols / segments);
  for (let step = 0; step < length; step += 1) {
    const over = decoder.onlyFirstSymbols;
    rows.forEach((row, index) => {
      if (index * length + step >= symbols) return;
      if (over) {
        row.parts.push(tokens[0]);
        return;
      }
      const symbol = decoder.next(row.stepper.step(row.read), total);
      row.parts.push(symbol < tokens.length ? tokens[symbol] : Uint8Array.of(symbol - tokens.length));
      row.read = symbol < tokens.length ? symbol : packed.start;
    });
  }
  return joined(rows.flatMap((row) => row.parts));
}

/** See longhold.compression.coder. */
class RangeDecoder {
  #coded;
  #at = WINDOW;
  #code = 0;
  #range = TOP;

  constructor(coded) {
    this.#coded = coded;
    for (let k = 0; k < this.#at; k += 1) this.#code = this.#code * 256 + (coded[k] ?? 0);
  }

  /** Whether every further symbol is the first one, whatever the frequencies. */
  get onlyFirstSymbols() {
    return this.#code === 0 && this.#at >= this.#coded.length + WINDOW;
  }

  /** The next symbol: a token, or the number of tokens plus a byte. */
  next(frequencies, total) {
    const over = this.#code > 0 && this.#at >= this.#coded.length + WINDOW + BEYOND;
    if (over || this.#code >= this.#range) throw new Error("the archive is damaged");
    const unit = Math.floor(this.#range / total);
    const target = Math.min(Math.floor(this.#code / unit), total - 1);
    let [symbol, begin, width] = [0, 0, frequencies[0]];
    if (target >= TOTAL) {
      const escape = Math.floor((target - TOTAL) / ESCAPE);
      [symbol, begin, width] = [frequencies.length + escape, TOTAL + ESCAPE * escape, ESCAPE];
    } else {
      while (begin + width <= target) {
        begin += width;
        symbol += 1;
        width = frequencies[symbol];
      }
    }
    this.#consume(unit * begin, unit * width);
    return symbol;
  }

  #consume(below, range) {
    this.#code -= below;
    this.#range = range;
    while (this.#range < BOTTOM) {
      this.#code = this.#code * 256 + (this.#coded[this.#at] ?? 0);
      this.#range *= 256;
      this.#at += 1;
    }
  }
}

function joined(parts) {
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
