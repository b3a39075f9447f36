// The wire of one conversation, drawn: time runs down; the client's line is on the left, the
// server's on the right.

import { between, counted, element, ending, find, lines, span, write } from "./words.js";

const FROM = {
  connect: "client", read: "client", "peer-end": "client",
  write: "server", end: "server", close: "server", reset: "server",
};
const WORDS = {
  connect: "connects", "peer-end": "half-close: sends no more",
  end: "half-close: sends no more", close: "closes", reset: "resets",
};
const BARS = { held: "waits", blocked: "blocked" };
const BAR_ENDS = { released: "held", unblocked: "blocked" };
const NOTES = {
  secured: () => "the TLS handshake is done",
  missed: ({ missed }) => `${counted(missed, "event")} not kept`,
  gone: ({ reason }) => `over: ${ending(reason)}`,
};
const ROW = 28, NOTE = 22, BEND = 14, LINE = 16; // px: above an arrow, a note, else; a line of text
const SLANT = 6, TAIL = 44; // px: what an arrow falls, what follows the last event
const COLUMN = 7.9; // px: a character of the text
const LONG = 1; // s: what is said to be a silence
const KEPT = 2000; // events, beyond which the older half is forgotten

/** Return the px that a time takes: short times are told apart, long silences stay short. */
const stretch = (seconds) => Math.min(64, 13 * Math.log10(1 + seconds * 1000));

const above = (kind) => (FROM[kind] ? ROW : NOTES[kind] ? NOTE : BEND);

/** Say an event in words, for who does not see it. */
function told(event) {
  const { at, kind, bytes, text } = event;
  const what = WORDS[kind] ?? BARS[kind] ?? NOTES[kind]?.(event) ?? (FROM[kind] ? "sends" : kind);
  const much = bytes == null ? "" : counted(bytes, "byte");
  return [`${at.toFixed(3)} s:`, FROM[kind], what, much, text].filter(Boolean).join(" ");
}

const path = (look, d) => element("path", { class: look, d });
const label = (x, y, anchor, look, ...text) =>
  element("text", { x, y, "text-anchor": anchor, class: look }, ...text);

class Drawing {
  y = 8; // where the last event is
  last = null;
  bars = new Map(); // by kind: what has begun and not ended
  look = { client: "life", server: "life" };
  lives = element("g");
  activity = element("g");
  events = element("g", { role: "list" });
  tail = element("g");

  constructor(width) {
    [this.left, this.right, this.middle] = [68, width - 60, width / 2 + 4];
    const layers = [this.lives, this.activity, this.events, this.tail];
    this.svg = element("svg", { width, height: TAIL }, ...layers);
  }

  add(event) {
    const silence = event.at - (this.last?.at ?? event.at);
    const text = this.text(event);
    const top = this.y;
    this.y += stretch(silence) + LINE * text.length + above(event.kind);
    this.lives.append(...this.down(top, this.y, silence, LINE * text.length + 12));
    for (const bar of this.bars.values()) this.lengthen(bar, this.y);
    const group = element("g", { role: "listitem", "data-kind": event.kind, "aria-label": told(event) });
    group.append(...this.times(event, top, silence), ...this.marks(event, text));
    this.events.append(group);
    this.last = event;
  }

  /** Draw on to now, in seconds since the connection began. */
  go_on(now) {
    const [silence, end] = [now - this.last.at, this.y + TAIL];
    this.svg.setAttribute("height", end);
    if (this.last.kind === "gone") return this.tail.replaceChildren();
    for (const bar of this.bars.values()) this.lengthen(bar, end);
    const said = silence < LONG ? "" : `quiet for ${span(silence)}`;
    return this.tail.replaceChildren(
      ...this.down(this.y, end, silence, 0), label(this.middle, this.y + 28, "middle", "", said));
  }

  /** Break what was said into lines that fit, six at most. */
  text({ text = "", cut }) {
    const all = lines(text, Math.floor((this.right - this.left - 12) / COLUMN));
    const made = all.slice(0, 6);
    if (cut || made.length < all.length) made.at(-1).push(["…", true]);
    return made;
  }

  /** Draw both lines on, dotted where it was silent. */
  down(from, to, silence, below) {
    const ends = [[this.left, this.look.client], [this.right, this.look.server]];
    const gaps = ends.map(([x]) => path("silence", `M${x} ${from + 8}V${to - below}`));
    return [...ends.map(([x, look]) => path(look, `M${x} ${from}V${to}`)), ...(silence < LONG ? [] : gaps)];
  }

  lengthen({ drawn, from }, to) {
    drawn.setAttribute("d", `M${this.right} ${from}V${to}`);
  }

  times({ at }, top, silence) {
    const made = [];
    const [time, before] = [at, this.last?.at].map((seconds) => seconds?.toFixed(3));
    if (time !== before) made.push(label(this.left - 10, this.y + 4, "end", "time", time));
    if (silence >= LONG && !this.bars.size)
      made.push(label(this.middle, top + stretch(silence) / 2 + 8, "middle", "", between(silence)));
    if (this.last && silence < LONG && this.y - top > 30)
      made.push(label(this.left - 10, (top + this.y) / 2 + 4, "end", "", `+${between(silence)}`));
    return made;
  }

  marks(event, text) {
    const { kind, at } = event;
    if (FROM[kind]) return this.arrow(event, text);
    if (BARS[kind]) return this.bar(event);
    if (NOTES[kind]) return this.note(event);
    const bar = this.bars.get(BAR_ENDS[kind]);
    this.bars.delete(BAR_ENDS[kind]);
    bar?.said.append(element("tspan", { x: this.right + 10, dy: 13 }, between(at - bar.at)));
    return [];
  }

  arrow({ kind, bytes }, text) {
    const from = FROM[kind];
    const reads = from === "client";
    const [tail, head] = reads ? [this.left, this.right] : [this.right, this.left];
    const y = reads ? this.y - SLANT : this.y;
    const look = kind === "reset" ? "reset" : from;
    if (kind === "peer-end" || kind === "end") this.look[from] = "life mute";
    return [
      path(look, `M${tail} ${y}L${head} ${y + SLANT}M${head} ${y + SLANT}l${reads ? -8 : 8} -4v7z`),
      ...text.map((line, row) => label(
        this.middle, y - 9 - LINE * (text.length - 1 - row), "middle", "bytes",
        ...line.map(([part, unseen]) => element("tspan", { class: unseen ? "escape" : "" }, part)))),
      label(this.middle, y + SLANT / 2 + 4, "middle", "count", WORDS[kind] ?? counted(bytes, "byte")),
    ];
  }

  bar({ kind, at }) {
    const said = label(this.right + 10, this.y + 4, "start", "", BARS[kind]);
    const drawn = path(kind, "");
    this.bars.set(kind, { at, from: this.y, drawn, said });
    this.activity.append(drawn);
    return [said];
  }

  note(event) {
    const { kind, reason } = event;
    const over = kind === "gone";
    if (over) this.bars.clear();
    const ends = over ? [this.left, this.right].map((x) => path("over", `M${x - 6} ${this.y}h12`)) : [];
    const look = reason === "lost" || reason === "aborted" ? "bad" : "";
    return [...ends, label(this.middle, this.y + 4, "middle", look, NOTES[kind](event))];
  }
}

let shown = null; // what is drawn: whose it is, the events, the number of the next
let drawing = null;

export function clear_wire(sentence = "") {
  [shown, drawing] = [null, null];
  for (const part of ["#client", "#server", "#paper"]) find(part).replaceChildren();
  write(find("#caption"), sentence);
}

/** Draw what an event of the stream brings: all from the beginning, or what has come since. */
export function show_wire({ id, peer, local, whole, first, events }) {
  if (shown?.id !== id || shown.peer !== peer || first < shown.next) {
    shown = { id, peer, events: [], next: 0, age: 0 };
    drawing = null;
  }
  const missed = first - shown.next;
  const more = [...(missed ? [{ kind: "missed", at: events[0].at, missed }] : []), ...events];
  shown.next = first + events.length;
  shown.events.push(...more);
  if (shown.events.length > KEPT) {
    shown.events.splice(0, KEPT / 2);
    drawing = null;
  }
  const unread = events.some(({ bytes, text }) => bytes && text === undefined);
  name_ends({ peer, local });
  write(find("#caption"), ["Seconds since the connection began, as the server read and wrote.",
    whole ? "" : "Recorded only since somebody looked.",
    unread ? "With --status-bytes, what is sent is shown, too." : ""].filter(Boolean).join(" "));
  if (drawing) follow(() => more.forEach((event) => drawing.add(event)));
  else redraw();
}

/** Draw on to now, as the row of the conversation tells it; there is none once it is long over. */
export function draw_on(row) {
  if (drawing) {
    shown.age = row?.age ?? shown.age;
    follow(() => {});
  } else if (row) {
    name_ends(row);
    write(find("#caption"), "Nothing has happened since somebody looked first.");
  }
}

function name_ends({ peer, local }) {
  write(find("#client"), peer);
  write(find("#server"), local);
}

/** Draw all anew: the width is another, or the beginning was forgotten. */
export function redraw() {
  const width = find("#paper").clientWidth;
  if (!shown || !width) return;
  follow(() => {
    drawing = new Drawing(width);
    shown.events.forEach((event) => drawing.add(event));
    find("#paper").replaceChildren(drawing.svg);
  });
}

/** Change the drawing; if its end was in sight, it stays so. */
function follow(change) {
  const paper = find("#paper");
  const at_end = paper.scrollHeight - paper.scrollTop - paper.clientHeight < TAIL;
  change();
  drawing.go_on(shown.age);
  if (at_end) paper.scrollTop = paper.scrollHeight;
}
