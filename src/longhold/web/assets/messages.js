/** The words of the page in the language that is spoken, and the numbers as each language writes them. */

import * as training from "./training-words.js";
import * as words from "./words.js";

export const LANGUAGES = {
  en: { name: "English", words: { ...words.ENGLISH, ...training.ENGLISH } },
  "zh-Hans": { name: "中文", words: { ...words.CHINESE, ...training.CHINESE } },
};

/** The language to begin in: the one chosen before, else the browser's. */
export function preferred(remembered, offered) {
  if (remembered !== null && Object.hasOwn(LANGUAGES, remembered)) return remembered;
  return (offered ?? []).some((tag) => tag.toLowerCase().startsWith("zh")) &&
    !(offered[0] ?? "").toLowerCase().startsWith("en")
    ? "zh-Hans"
    : "en";
}

/** `say(key, values)`, with numbers, shares and times as `say.number(value, digits)` and so on, in one language. */
export function speaker(language) {
  const { words } = LANGUAGES[language];
  function say(key, values = {}) {
    return words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }
  say.language = language;
  say.number = (value, digits) => {
    if (value === null || value === undefined) return "∞";
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return new Intl.NumberFormat(language, options).format(value).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
  };
  say.short = (value) => {
    if (value === null || value === undefined) return "∞";
    if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) return value.toExponential(1).replace("e-", "e−");
    return new Intl.NumberFormat(language, { maximumSignificantDigits: 3 }).format(value).replace("-", "−");
  };
  say.count = (value) => new Intl.NumberFormat(language).format(value);
  say.percent = (share) => {
    if (share > 0 && share < 0.0005) return "<0.1 %";
    return `${new Intl.NumberFormat(language, { maximumFractionDigits: share < 0.0995 ? 1 : 0 }).format(100 * share)} %`;
  };
  say.time = (seconds) => {
    if (seconds < 90) return say("time_s", { n: say.count(Math.max(1, Math.round(seconds))) });
    if (seconds < 5400) return say("time_min", { n: say.count(Math.round(seconds / 60)) });
    return say("time_h", { n: say.number(seconds / 3600, 1) });
  };
  return say;
}
