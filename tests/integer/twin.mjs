// Does what a job says with the JavaScript twin and prints the answers as JSON: node twin.mjs STEPPER.js < job
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { Continuations } = await import(new URL("utf8.js", pathToFileURL(process.argv[2])));
const { Stepper, IntegerGenerator, StreamDecoder, Encoder, bytesOf, draw } = await import(pathToFileURL(process.argv[2]));
const job = JSON.parse(readFileSync(0, "utf-8"));
const stepper = job.packed && new Stepper(job.packed);

const work = {
  frequencies: (ids) => ids.map((id) => Array.from(stepper.step(id))),
  last({ ids, temperatures }) {
    stepper.reset();
    ids.forEach((id) => stepper.step(id));
    return { at: temperatures.map((t) => Array.from(stepper.frequencies(t))), gates: stepper.gates() };
  },
  sampled({ seed, start, length, temperature }) {
    const generator = new IntegerGenerator(seed);
    const fresh = stepper.fork();
    const ids = [];
    const continuations = new Continuations(job.packed.tokens.map(bytesOf));
    let place = 0;
    for (let id = start; ids.length < length; ids.push(id)) {
      fresh.step(id);
      place = continuations.after(place, id);
      id = draw(fresh.frequencies(temperature, continuations.allowed(place)), generator);
    }
    const decoder = new StreamDecoder(job.packed);
    return { ids, text: ids.map((id) => decoder.push(id)).join("") + decoder.flush() };
  },
  allowed(states) {
    const continuations = new Continuations(job.packed.tokens.map(bytesOf));
    return states.map((state) => continuations.allowed(state));
  },
  after(states) {
    const continuations = new Continuations(job.packed.tokens.map(bytesOf));
    return states.map((state) => job.packed.tokens.map((_, id) => continuations.after(state, id)));
  },
  odds: ({ id, temperature, allowed }) => {
    stepper.reset();
    stepper.step(id);
    return Array.from(stepper.frequencies(temperature, allowed));
  },
  words: ({ seed, count }) => {
    const generator = new IntegerGenerator(seed);
    return Array.from({ length: count }, () => generator.word());
  },
  below: ({ seed, limits }) => {
    const generator = new IntegerGenerator(seed);
    return limits.map((limit) => generator.below(limit));
  },
  decoded(rows) {
    const decoder = new StreamDecoder(job.packed);
    return rows.map((ids) => [...ids.map((id) => decoder.push(id)), decoder.flush()]);
  },
  encoded: (texts) => texts.map((text) => new Encoder(job.packed).encode(text)),
  refused: (ids) =>
    ids.map((id) => {
      try {
        return `${stepper.step(id).length}`;
      } catch (error) {
        return `${error.name}: ${error.message}`;
      }
    }),
};

const answers = Object.fromEntries(Object.entries(job.ask).map(([name, asked]) => [name, work[name](asked)]));
process.stdout.write(JSON.stringify(answers));
