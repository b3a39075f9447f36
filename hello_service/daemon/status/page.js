// The page of the status port: draws what /events tells. What clients have sent is hostile: it
// becomes text nodes and attributes here, never markup.

// Words and figures

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

const counted = (number, noun) => `${whole.format(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Write a size: 512 B, 1.21 kB. */
function size(bytes) {
  const power = Math.min(4, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return `${three.format(bytes / 1000 ** power)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

/** Write a rate a second: 0, 0.5, 1,024. */
const rate = (number) => (number < 10 ? three.format(Math.round(number * 10) / 10) : whole.format(number));

/** Write a time in whole seconds: 12 s, 3 min 12 s, 2 d 4 h. */
function span(seconds) {
  const rest = Math.max(0, Math.floor(seconds));
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([length]) => rest >= length);
  if (first < 0) return "0 s";
  return units.slice(first, first + 2)
    .map(([length, unit], place) => [Math.floor((place ? rest % units[first][0] : rest) / length), unit])
    .filter(([number]) => number).map(([number, unit]) => `${number} ${unit}`).join(" ");
}

/** Write the time between two events: 0.21 ms, 1.02 s, 3 min 12 s. */
function between(seconds) {
  if (seconds >= 60) return span(seconds);
  return seconds >= 1 ? `${three.format(seconds)} s` : `${three.format(Math.round(seconds * 1e5) / 100)} ms`;
}

/** Part an address into host and port; a UNIX socket has no port. */
const parted = (address) => address.match(/^\[?(.*?)\]?:(\d+)$/)?.slice(1) ?? [address, ""];

const STATES = {
  header: "awaits its PROXY header", handshake: "is in its TLS handshake", welcomed: "has said nothing yet",
  answering: "waits out its delay", blocked: "blocked: the client does not read",
  lingering: "lingering: waits for the client to close",
};
const REASONS = {
  end: "the client ended it", lost: "the connection broke", idle: "was idle for too long",
  lifetime: "was open for too long", shutdown: "the daemon stopped", aborted: "the daemon cut it off",
};

/** Say in words what a conversation does. */
function doing(conversation, draining) {
  const { state, quiet } = conversation;
  if (state === "ended") return `${REASONS[conversation.reason] ?? conversation.reason}, ${span(conversation.ago)} ago`;
  if (draining && state !== "lingering") return "draining";
  return STATES[state] ?? (quiet >= 1 ? `quiet for ${span(quiet)}` : "talks");
}

/** List the figures of a state: label, text, and where there is a limit how much of it is used; whether to warn. */
function figures(state) {
  const { refused, handshakes, certificate } = state;
  const hosts = state.connections.map(({ peer }) => parted(peer)[0]);
  const busiest = Math.max(0, ...hosts.map((host) => hosts.filter((other) => other === host).length));
  const limited = (label, used, most) =>
    [label, most ? `${whole.format(used)} of ${whole.format(most)}` : whole.format(used), most ? used / most : null, used >= most * 0.9];
  const left = (certificate - state.now) / 86400;
  const total = refused.total + refused.host + refused.proxy;
  return [
    limited("open", state.open, state.most),
    state.most_per_host && limited("most from one address", busiest, state.most_per_host),
    ["accepted", whole.format(state.accepted)],
    state.messages !== null && ["messages", whole.format(state.messages)],
    ["in, out", `${size(state.received)}, ${size(state.sent)}`],
    ["refused", total ? Object.entries({ "too many": refused.total, "of one address": refused.host, "PROXY header": refused.proxy })
      .filter(([, number]) => number).map(([why, number]) => `${whole.format(number)} ${why}`).join(", ") : "none"],
    state.probes !== null && ["said nothing", whole.format(state.probes)],
    handshakes && ["TLS handshakes not done", whole.format(handshakes.late + handshakes.failed + handshakes.left)],
    certificate !== null && ["certificate", left < 0 ? "has expired" : `${counted(Math.floor(left), "day")} left`, null, left < 14],
  ].filter(Boolean);
}

// What is not seen, seen

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/u;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** Write a character that cannot be seen, or that moves others, as an escape. */
function escaped(character) {
  const code = character.codePointAt(0);
  if (SHORT[character]) return SHORT[character];
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/** Break a text into lines of runs, [text, whether it is an escape]; lines end behind \n, and where the width does. */
function lines(text, width, most) {
  const made = [[]];
  let used = 0;
  for (const character of text) {
    const hidden = UNSEEN.test(character);
    const shown = hidden ? escaped(character) : character;
    const columns = WIDE.test(character) ? 2 : shown.length;
    const last = made.at(-1).at(-1);
    if (used + columns > width || last?.[0].endsWith("\\n") && last[1]) {
      if (made.length === most) return [...made.slice(0, -1), [...made.at(-1), ["…", true]]];
      made.push([]);
      used = 0;
    }
    used += columns;
    const run = made.at(-1).at(-1);
    if (run?.[1] === hidden) run[0] += shown;
    else made.at(-1).push([shown, hidden]);
  }
  return made;
}

// Elements

const find = (selector) => document.querySelector(selector);

/** Make an element: its attributes, then its children, nodes or text. */
function element(name, attributes = {}, ...children) {
  const made = SVG.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
const SVG = new Set(["svg", "g", "path", "text", "tspan", "title"]);

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// The last minute

const MINUTE = 60;
const SERIES = [
  ["connections", "connections/s", rate, "ink"], ["messages", "messages/s", rate, "ink"],
  ["received", "in, each second", size, "client"], ["sent", "out, each second", size, "server"],
];
let samples = [];

/** Return the points of a series, [seconds ago, rate], each the difference over about a second. */
function rates(samples, name) {
  const now = samples.at(-1)?.uptime;
  return samples.slice(2).map((sample, place) => {
    const before = samples[place];
    return [now - sample.uptime, (sample[name] - before[name]) / (sample.uptime - before.uptime)];
  });
}

function plot(points, top) {
  return points.map(([ago, value]) => `${(MINUTE - ago).toFixed(2)} ${(20 - 19 * value / top).toFixed(2)}`).join("L");
}

function draw_rates(state) {
  if (samples.at(-1)?.uptime >= state.uptime) samples = [];
  samples.push({ ...state, connections: state.accepted });
  samples = samples.filter(({ uptime }) => state.uptime - uptime <= MINUTE + 1);
  const points = Object.fromEntries(SERIES.map(([name]) => [name, rates(samples, name)]));
  const tops = SERIES.map(([name]) => Math.max(0, ...points[name].map(([, value]) => value)));
  const highest = [tops[0], tops[1], Math.max(tops[2], tops[3]), Math.max(tops[2], tops[3])];
  SERIES.forEach(([name, label, format, colour], place) => {
    const box = find(`#rate-${name}`) ?? find("#rates").appendChild(rate_box(name, label, colour));
    box.hidden = name === "messages" && state.messages === null;
    const line = plot(points[name], highest[place] || 1);
    const [number, , , most] = box.children;
    write(number, format(points[name].at(-1)?.[1] ?? 0));
    write(most, `at most ${format(tops[place])} in the last minute`);
    const [area, stroke] = box.querySelectorAll("path");
    area.setAttribute("d", line && `M${MINUTE - points[name][0][0]} 20L${line}L${MINUTE} 20z`);
    stroke.setAttribute("d", line && `M${line}`);
  });
}

function rate_box(name, label, colour) {
  const paths = [element("path", { class: "area" }), element("path")];
  return element("div", { id: `rate-${name}`, class: `rate ${colour}` },
    element("b"), element("span", {}, label),
    element("svg", { viewBox: "0 0 60 20", preserveAspectRatio: "none", "aria-hidden": "true" }, ...paths),
    element("small"));
}

// The conversations

/** Return what most of the values are, if any is there twice: this tells nothing apart. */
function shared(values) {
  const times = new Map();
  for (const value of values) times.set(value, (times.get(value) ?? 0) + 1);
  const [value, most] = [...times].sort((a, b) => b[1] - a[1])[0] ?? [];
  return most > 1 ? value : undefined;
}

/** Bring the rows of a table up to date. Rows that stay are not moved, so that the focus stays, too. */
function draw_rows(table, conversations, draining) {
  const body = find(`${table} tbody`);
  const rows = new Map([...body.children].map((row) => [row.dataset.id, row]));
  const ids = new Set(conversations.map(({ id }) => String(id)));
  for (const [id, row] of rows) if (!ids.has(id)) row.remove();
  const ends = conversations.map(({ peer, local }) => [...parted(peer), ...parted(local)]);
  const same = [0, 1, 2, 3].map((column) => shared(ends.map((end) => end[column])));
  conversations.forEach((conversation, place) => {
    const row = rows.get(String(conversation.id)) ?? new_row(conversation);
    if (body.children[place] !== row) body.insertBefore(row, body.children[place] ?? null);
    row.classList.toggle("shown", String(conversation.id) === watched);
    row.children[8].className = { blocked: "bad", answering: "warn" }[conversation.state] ?? "";
    row.children[8].title = doing(conversation, draining);
    ends[place].forEach((end, column) => row.children[column].classList.toggle("same", end === same[column]));
    [span(conversation.age), conversation.messages === null ? "" : whole.format(conversation.messages),
      size(conversation.received), size(conversation.sent), doing(conversation, draining),
    ].forEach((text, column) => write(row.children[column + 4], text));
  });
}

function new_row({ id, peer, local, via, recorded }) {
  const [host, port, server, server_port] = [...parted(peer), ...parted(local)];
  const told = port || "open";
  const link = recorded ? element("a", { href: `#${id}`, "aria-label": `The wire of ${peer}` }, told) : port;
  return element("tr", { "data-id": id },
    element("td", { title: via ? `${peer} by way of ${via}` : peer }, host, ...(via ? [element("small", {}, ` via ${via}`)] : [])),
    element("td", {}, link), element("td", { title: local }, server), element("td", {}, server_port),
    ...Array.from({ length: 5 }, () => element("td")));
}

// The wire: time runs down, the client's line is left, the server's right

const FROM = {
  connect: "client", read: "client", "peer-end": "client",
  write: "server", end: "server", close: "server", reset: "server",
};
const WORDS = {
  connect: "connects", "peer-end": "sends no more", end: "sends no more", close: "closes", reset: "resets",
};
const STRETCHES = { held: "waits", blocked: "blocked" };
const FINISHED = { released: "held", unblocked: "blocked" };
const ROW = 26, LINE = 16, SLANT = 6, COLUMN = 7.85, TAIL = 44;
const KEPT = 2000; // events, beyond which the older half is forgotten

/** Return the pixels that a time takes: short times are told apart, long silences stay short. */
const stretch = (seconds) => Math.min(64, 13 * Math.log10(1 + seconds * 1000));

/** Say an event in words, for who does not see the drawing. */
function told(event) {
  const what = WORDS[event.kind] ?? (event.kind === "gone" ? `over: ${REASONS[event.reason] ?? event.reason}` : event.kind);
  const bytes = event.bytes == null ? [] : [counted(event.bytes, "byte")];
  return [`${event.at.toFixed(3)} s`, FROM[event.kind], what, ...bytes, event.text].filter(Boolean).join(" ");
}

class Wire {
  #y = 8; #last = null; #mute = { client: false, server: false }; #bars = {}; #time = "";
  #events = element("g", { role: "list" }); #tail = element("g", { "aria-hidden": "true" });

  constructor(width, whole, at) {
    this.left = 68;
    this.right = width - 76;
    this.svg = element("svg", { width, height: TAIL }, this.#events, this.#tail);
    if (!whole) {
      this.#y += 20;
      this.#events.append(this.#text((this.left + this.right) / 2, 14, `watched from ${between(at)} on`, "pale", "middle"));
    }
  }

  get over() { return this.#last?.kind === "gone"; }

  add(event) {
    const silence = this.#last ? event.at - this.#last.at : 0;
    const from = FROM[event.kind];
    const rows = event.text ? lines(event.text, Math.floor((this.right - this.left - 16) / COLUMN), 6) : [];
    if (event.cut) rows.at(-1)?.push(["…", true]);
    const top = this.#y;
    this.#y += stretch(silence) + LINE * rows.length + (from ? ROW : 14);
    const group = element("g", { role: "listitem", "data-kind": event.kind, "aria-label": told(event) });
    group.append(...this.#lives(top, this.#y, silence, this.#y - LINE * rows.length));
    if (from) group.append(...this.#arrow(event, from, rows));
    group.append(...this.#times(event, top, silence), ...this.#stretches(event));
    if (event.kind === "gone") group.append(...this.#gone(event));
    if (event.kind === "peer-end") this.#mute.client = true;
    if (event.kind === "end") this.#mute.server = true;
    this.#events.append(group);
    this.#last = event;
  }

  /** Draw on to now, so many seconds after the connection began. */
  draw_tail(now) {
    const silence = now - (this.#last?.at ?? now);
    this.svg.setAttribute("height", this.#y + TAIL);
    if (this.over) return this.#tail.replaceChildren();
    const said = silence < 1 ? [] : [this.#text((this.left + this.right) / 2, this.#y + 28, `quiet for ${span(silence)}`, "pale", "middle")];
    for (const [kind, { y, path }] of Object.entries(this.#bars)) path.setAttribute("d", this.#down(kind, y, this.#y + TAIL));
    return this.#tail.replaceChildren(...this.#lives(this.#y, this.#y + TAIL, silence, this.#y + TAIL), ...said);
  }

  #text(x, y, text, look, anchor) {
    return element("text", { x, y, class: look, "text-anchor": anchor }, text);
  }

  #down(_, from, to) { return `M${this.right} ${from}V${to}`; }

  #lives(from, to, silence, end) {
    const path = (who) => element("path", { class: this.#mute[who] ? "life mute" : "life", d: `M${this[who === "client" ? "left" : "right"]} ${from}V${to}` });
    if (silence < 1) return [path("client"), path("server")];
    const gap = [this.left, this.right].map((x) => element("path", { class: "silence", d: `M${x} ${from + 10}V${end - 12}` }));
    return [path("client"), path("server"), ...gap];
  }

  #arrow(event, from, rows) {
    const [tail, head, y, slope] = from === "client" ? [this.left, this.right, this.#y - SLANT, SLANT] : [this.right, this.left, this.#y, SLANT];
    const middle = (tail + head) / 2;
    const back = Math.sign(tail - head) * 8;
    const tip = y + slope;
    const look = event.kind === "reset" ? "reset" : from;
    const said = rows.map((runs, row) => element("text",
      { x: middle, y: y - 5 - LINE * (rows.length - 1 - row), class: "bytes", "text-anchor": "middle" },
      ...runs.map(([text, hidden]) => element("tspan", hidden ? { class: "escape" } : {}, text))));
    return [
      element("path", { class: look, d: `M${tail} ${y}L${head} ${tip}` }),
      element("path", { class: look, d: `M${head} ${tip}l${back} -4v7z` }),
      ...said,
      this.#text(middle, y + slope / 2 + 4, WORDS[event.kind] ?? counted(event.bytes, "byte"), "count", "middle"),
    ];
  }

  #times(event, top, silence) {
    const time = event.at.toFixed(3);
    const made = time === this.#time ? [] : [this.#text(this.left - 10, this.#y + 4, time, "", "end")];
    this.#time = time;
    if (silence >= 1) made.push(this.#text((this.left + this.right) / 2, top + stretch(silence) / 2 + 8, between(silence), "pale", "middle"));
    else if (this.#y - top >= 32 && this.#last) made.push(this.#text(this.left - 10, (top + this.#y) / 2 + 4, `+${between(silence)}`, "pale", "end"));
    return made;
  }

  #stretches(event) {
    for (const { y, path } of Object.values(this.#bars)) path.setAttribute("d", this.#down("", y, this.#y));
    const label = (text) => this.#text(this.right + 10, this.#y + 4, text, "pale", "start");
    if (STRETCHES[event.kind]) {
      const path = element("path", { class: event.kind, d: "" });
      this.#bars[event.kind] = { y: this.#y, at: event.at, path };
      return [path, label(STRETCHES[event.kind])];
    }
    const bar = this.#bars[FINISHED[event.kind]];
    delete this.#bars[FINISHED[event.kind]];
    return bar ? [label(between(event.at - bar.at))] : [];
  }

  #gone(event) {
    const look = event.reason === "lost" || event.reason === "aborted" ? "over bad" : "over";
    const ends = [this.left, this.right].map((x) => element("path", { class: look, d: `M${x - 6} ${this.#y}h12` }));
    return [...ends, this.#text((this.left + this.right) / 2, this.#y + 4, `over: ${REASONS[event.reason] ?? event.reason}`, "pale", "middle")];
  }
}

let drawing = null;
let recorded = null;

/** Take an event of the wire: more of what is drawn, or the beginning. */
function draw_wire(data) {
  if (recorded?.id !== data.id || recorded.first + recorded.events.length !== data.first) {
    recorded = { ...data, events: [] };
    drawing = null;
  }
  recorded.missed = data.missed;
  recorded.events.push(...data.events);
  if (recorded.events.length > KEPT) {
    recorded.first += recorded.events.splice(0, KEPT / 2).length;
    recorded.whole = false;
    drawing = null;
  }
  const [client, server] = find("#ends").querySelectorAll("b");
  write(client, data.via ? `${data.peer} via ${data.via}` : data.peer);
  write(server, data.local);
  if (drawing) follow(() => data.events.forEach((event) => drawing.add(event)));
  else redraw();
}

function redraw() {
  const width = find("#paper").clientWidth;
  if (!recorded?.events.length || !width) return;
  drawing = new Wire(width, recorded.whole, recorded.events[0].at);
  follow(() => {
    recorded.events.forEach((event) => drawing.add(event));
    find("#paper").replaceChildren(drawing.svg);
  });
}

/** Change the drawing; where its end was in sight, it stays so. */
function follow(change) {
  const paper = find("#paper");
  const at_end = paper.scrollHeight - paper.scrollTop - paper.clientHeight < 40;
  change();
  const row = state?.connections.find(({ id }) => id === recorded.id);
  drawing.draw_tail(row?.age ?? 0);
  if (at_end) paper.scrollTop = paper.scrollHeight;
}

function explain(sentence) {
  const cause = state && !state.bytes ? " Lengths alone are shown: --status-bytes shows what is sent." : "";
  const missed = recorded?.missed ? ` ${counted(recorded.missed, "event")} came too fast to be kept.` : "";
  write(find("#caption"), sentence ?? `Seconds since the connection began, by the server's clock.${missed}${cause}`);
}

// Watching

let state = null;
let source = null;
let watched = "";
let heard = 0;

function tell(sentence, look) {
  write(find("#state"), sentence);
  find("#state").className = look === "warn" ? "warn" : "";
  document.body.classList.toggle("stale", look === "stale");
}

function draw(data) {
  state = data;
  heard = performance.now();
  const name = state.name || location.host;
  document.title = `${name}: ${state.open} open`;
  write(find("#name"), name);
  write(find("#facts"), `version ${state.version} · ${state.reactor} · up ${span(state.uptime)}`);
  if (state.draining) tell("draining: no new conversations, these end", "warn");
  else tell("serving");
  draw_rates(state);
  find("#figures").replaceChildren(...figures(state).map(figure));
  draw_rows("#open", state.connections, state.draining);
  draw_rows("#ended", state.ended, false);
  find("#open").parentElement.style.setProperty("--rows", 8 * Math.ceil((state.connections.length || 1) / 8));
  write(find("#unlisted"), state.unlisted ? `and ${whole.format(state.unlisted)} more, older ones` : state.open ? "" : "nobody is connected");
  if (drawing) follow(() => {});
}

function figure([label, text, used, warn]) {
  const value = element("dd", warn ? { class: "warn" } : {}, text);
  if (used != null) {
    const bar = element("span");
    bar.style.width = `${Math.min(1, used) * 100}%`;
    value.append(element("span", { class: "meter", "aria-hidden": "true" }, bar));
  }
  return element("div", {}, element("dt", {}, label), value);
}

/** Ask once why the events are refused. */
async function refusal() {
  const enough = new AbortController();
  try {
    const answer = await fetch("events", { signal: enough.signal });
    return answer.ok ? "" : (await answer.text()).trim();
  } catch {
    return "";
  } finally {
    enough.abort();
  }
}

async function lost() {
  const mine = source;
  if (mine.readyState !== EventSource.CLOSED) return tell("not reachable, trying again", "stale");
  tell(await refusal() || "not reachable, trying again", "stale");
  return setTimeout(() => mine === source && watch(), 2000);
}

/** Watch the conversation of the URL's hash, or all. */
function watch() {
  source?.close();
  const id = location.hash.match(/^#(\d+)$/)?.[1] ?? "";
  if (id !== watched) {
    [recorded, drawing] = [null, null];
    find("#paper").replaceChildren();
    find("#ends").querySelectorAll("b").forEach((end) => write(end, ""));
    write(find("#caption"), "");
  }
  watched = id;
  find("#wire").hidden = !id;
  if (id && !find("#list").offsetParent) find("#back").focus();
  source = new EventSource(id ? `events?wire=${id}` : "events");
  const on = (name, act) => source.addEventListener(name, ({ data }) => act(JSON.parse(data)));
  on("state", draw);
  on("wire", (data) => { draw_wire(data); explain(); });
  on("missing", () => explain("This conversation is not recorded, or no longer: choose another."));
  source.onerror = lost;
}

addEventListener("hashchange", watch);
addEventListener("keydown", ({ key }) => { if (key === "Escape" && watched) location.hash = ""; });
new ResizeObserver(redraw).observe(find("#paper"));
setInterval(() => { if (heard && performance.now() - heard > 5000) tell("not reachable, trying again", "stale"); }, 1000);
watch();
