// How the page writes figures, times and bytes, and how it makes elements. What clients have sent
// is hostile: it becomes text and attributes here, never markup.

export const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 }).format;

export const counted = (number, noun) => `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Write a size: 512 B, 1.21 kB. */
export function size(bytes) {
  const power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const unit = ["B", "kB", "MB", "GB", "TB"][power];
  return power ? `${(bytes / 1000 ** power).toPrecision(3)} ${unit}` : `${Math.round(bytes)} B`;
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format;

/** Write a rate: 0, 0.5, 1,024, 1.7M. */
export function rate(number) {
  if (number >= 1e4) return compact(number);
  return number >= 10 ? whole(number) : String(Math.round(number * 10) / 10);
}

/** Write a time in whole seconds: 12 s, 3 min 12 s, 2 d 4 h. */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const [min, h, d] = [60, 3600, 86400].map((unit) => Math.floor(s / unit));
  if (d) return `${d} d ${h % 24} h`;
  if (h) return `${h} h ${min % 60} min`;
  return min ? `${min} min ${s % 60} s` : `${s} s`;
}

/** Write the time between two events: 0.21 ms, 1.02 s, 3 min 12 s. */
export function between(seconds) {
  if (seconds >= 60) return span(seconds);
  if (seconds >= 1) return `${seconds.toPrecision(3)} s`;
  return `${(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 0)} ms`;
}

/** Part an address into host and port; a UNIX socket has no port. */
export const parted = (address) => address.match(/^\[?(.*?)\]?:(\d+)$/)?.slice(1) ?? [address, ""];

const REASONS = {
  end: "the client ended it",
  lost: "the connection broke",
  idle: "idle for too long",
  lifetime: "open for too long",
  shutdown: "the daemon stopped",
  aborted: "the daemon cut it off",
  handshake: "its TLS handshake took too long",
};

/** Say why a conversation ended; a daemon has words of its own besides. */
export const ending = (reason) => REASONS[reason] ?? reason;

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/u; // controls, what turns the direction, what has no glyph
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]|\p{Emoji_Presentation}/u;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(character) {
  const code = character.codePointAt(0).toString(16);
  return SHORT[character] ?? (code.length > 2 ? `\\u{${code}}` : `\\x${code.padStart(2, "0")}`);
}

/** Break a text into lines, at each \n and at the width; a line is runs, [text, is it an escape]. */
export function lines(text, width) {
  const made = [];
  let room = 0;
  for (const character of text) {
    const unseen = UNSEEN.test(character);
    const shown = unseen ? escaped(character) : character;
    const columns = WIDE.test(character) ? 2 : shown.length;
    if (room < columns) {
      made.push([]);
      room = width;
    }
    room = character === "\n" ? 0 : room - columns;
    const run = made.at(-1).at(-1);
    if (run?.[1] === unseen) run[0] += shown;
    else made.at(-1).push([shown, unseen]);
  }
  return made;
}

const SVG = new Set(["svg", "g", "path", "text", "tspan"]);

/** Make an element of attributes and children; strings among these are text. */
export function element(name, attributes = {}, ...children) {
  const space = SVG.has(name) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const made = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const find = (selector) => document.querySelector(selector);

/** Set a text, if it is another one. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
