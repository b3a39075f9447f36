// The page of the status port: it draws what /events tells, twice a second.

import { counted, element, ending, find, parted, rate, size, span, whole, write } from "./words.js";
import { clear_wire, draw_on, redraw, show_wire } from "./wire.js";

// The last minute

const MINUTE = 60;
const SERIES = [
  { name: "accepted", title: "connections", format: rate, look: "" },
  { name: "messages", title: "messages", format: rate, look: "" },
  { name: "received", title: "received", format: size, look: "client" },
  { name: "sent", title: "sent", format: size, look: "server" },
];
let samples = [];

/** Return [seconds ago, rate] for each sample: by its difference to the last but one before it. */
function rates(name) {
  const now = samples.at(-1).uptime;
  return samples.slice(2).map(({ uptime, [name]: total }, place) =>
    [now - uptime, (total - samples[place][name]) / (uptime - samples[place].uptime)]);
}

function draw_rates(state) {
  if (samples.at(-1)?.uptime >= state.uptime) samples = []; // another daemon
  samples = [...samples, state].filter(({ uptime }) => state.uptime - uptime <= MINUTE + 1);
  const series = SERIES.filter(({ name }) => state[name] !== null).map((one) => {
    const points = rates(one.name);
    return { ...one, points, top: Math.max(0, ...points.map(([, value]) => value)) };
  });
  const bytes = Math.max(...series.slice(-2).map(({ top }) => top)); // both directions have one scale
  const boxes = find("#rates");
  if (boxes.children.length !== series.length) boxes.replaceChildren(...series.map(rate_box));
  series.forEach(({ format, look, points, top }, place) => {
    const [, most, number, plot] = boxes.children[place].children;
    const height = (value) => 20 - (20 * value) / ((look ? bytes : top) || 1);
    const line = points.map(([ago, value]) => `${MINUTE - ago} ${height(value)}`).join("L");
    write(number, `${format(points.at(-1)?.[1] ?? 0)}/s`);
    write(most, `at most ${format(top)}`);
    plot.children[0].setAttribute("d", line && `M${MINUTE - points[0][0]} 20L${line}V20z`);
    plot.children[1].setAttribute("d", line && `M${line}`);
  });
}

function rate_box({ title, look }) {
  const plot = { viewBox: `0 0 ${MINUTE} 20`, preserveAspectRatio: "none", "aria-hidden": "true" };
  return element("div", { class: `rate ${look}` },
    element("span", {}, title), element("small"), element("b"),
    element("svg", plot, element("path", { class: "area" }), element("path")));
}

// Figures and limits

function limited(name, used, most) {
  if (!most) return [name, whole(used)];
  return [name, `${whole(used)} of ${whole(most)}`, used / most, used >= 0.9 * most];
}

function refusals({ total, host, proxy }) {
  const causes = [[total, "too many"], [host, "of one address"], [proxy, "PROXY header"]];
  const told = causes.filter(([number]) => number).map(([number, why]) => `${whole(number)} ${why}`);
  return told.join(", ") || "none";
}

function certificate_figures({ certificate, now, handshakes }) {
  const days = Math.floor((certificate - now) / 86400);
  const failed = Object.values(handshakes).reduce((sum, number) => sum + number, 0);
  return [
    ["failed handshakes", whole(failed)],
    ["certificate", days < 0 ? "has expired" : `${counted(days, "day")} left`, null, days < 14],
  ];
}

/** List what there is to say: name, text, how much of the limit is used, whether to warn. */
function figures(state) {
  const { most, most_per_host, messages } = state;
  return [
    limited("open", state.open, most),
    ...(most_per_host ? [limited("of one address", state.busiest, most_per_host)] : []),
    ["accepted", whole(state.accepted)],
    ...(messages === null ? [] : [["messages", whole(messages)]]),
    ["received", size(state.received)],
    ["sent", size(state.sent)],
    ["refused", refusals(state.refused)],
    ["said nothing", whole(state.probes)],
    ...(state.certificate === null ? [] : certificate_figures(state)),
  ];
}

function figure([name, text, used, warn]) {
  const value = element("dd", { class: warn ? "bad" : "" }, text);
  if (used != null) {
    const bar = element("span");
    bar.style.width = `${Math.min(1, used) * 100}%`;
    value.append(element("span", { class: "meter", "aria-hidden": "true" }, bar));
  }
  return element("div", {}, element("dt", {}, name), value);
}

// The conversations

const DOING = {
  handshake: "TLS handshake",
  welcomed: "has said nothing yet",
  answering: "waits out its delay",
  blocked: "blocked: the client does not read",
  lingering: "lingering until the client closes",
};

/** Say in words what a conversation does, or how it ended. */
function doing({ state, quiet, reason, ago }, draining) {
  if (state === "ended") return `${ending(reason)}, ${span(ago)} ago`;
  if (draining && state !== "lingering") return "draining";
  return DOING[state] ?? (quiet >= 1 ? `quiet for ${span(quiet)}` : "talks");
}

/** Return what most values are, if any is there twice: it tells nothing apart. */
function shared(values) {
  const times = new Map();
  for (const value of values) times.set(value, (times.get(value) ?? 0) + 1);
  const [value, most] = [...times].sort((one, other) => other[1] - one[1])[0] ?? [];
  return most > 1 ? value : undefined;
}

const MOST_ROWS = 200; // that are kept under the pointer
let by_mouse = false; // after a touch, the row stays hovered
addEventListener("pointermove", ({ pointerType }) => (by_mouse = pointerType === "mouse"));

/** Bring a table up to date. Under the pointer no row moves; a row that stays keeps the focus. */
function draw_rows(table, conversations, draining) {
  const body = find(`${table} tbody`);
  const still = by_mouse && body.matches(":hover") && body.children.length < MOST_ROWS;
  const rows = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const keys = conversations.map(({ id, peer }) => `${id} ${peer}`);
  for (const [key, row] of rows) {
    row.classList.toggle("gone", !keys.includes(key));
    if (!still && !keys.includes(key)) row.remove();
  }
  const ends = conversations.map(({ peer, local }) => [...parted(peer), ...parted(local)]);
  const same = [0, 1, 2, 3].map((column) => shared(ends.map((end) => end[column])));
  conversations.forEach((one, place) => {
    const row = rows.get(keys[place]) ?? new_row(keys[place], one, ends[place]);
    const next = still ? null : body.children[place] ?? null;
    if (still ? !row.isConnected : row !== next) body.insertBefore(row, next);
    row.classList.toggle("shown", String(one.id) === watched);
    const cells = [...row.children];
    ends[place].forEach((end, column) => cells[column].classList.toggle("same", end === same[column]));
    fill(cells.slice(4), one, draining);
  });
}

function fill(cells, one, draining) {
  const messages = one.messages === null ? "" : whole(one.messages);
  const texts = [span(one.age), messages, size(one.received), size(one.sent), doing(one, draining)];
  texts.forEach((text, column) => write(cells[column], text));
  const looks = { blocked: "bad", answering: "warn" };
  cells.at(-1).className = (!draining && looks[one.state]) || "";
}

function new_row(key, { id, peer, local, via }, [host, port, server, server_port]) {
  const name = via ? `${peer} via ${via}` : peer;
  return element("tr", { "data-key": key },
    element("td", { title: name }, host, ...(via ? [element("small", {}, ` via ${via}`)] : [])),
    element("td", {}, element("a", { href: `#${id}`, "aria-label": `the wire of ${name}` }, port || "open")),
    element("td", { title: local }, server), element("td", {}, server_port),
    ...Array.from({ length: 5 }, () => element("td")));
}

// Watching

const UNREACHABLE = "not reachable, tries again";
let heard = Infinity; // when the last state came, in ms
let source = null;
let watched = ""; // the id of the conversation whose wire is shown

function tell(sentence, look) {
  write(find("#state"), sentence);
  document.body.className = look;
}

function take(state) {
  heard = performance.now();
  const name = state.name || location.host;
  document.title = `${name}: ${state.open} open`;
  write(find("#name"), name);
  const version = state.version && `version ${state.version}`;
  write(find("#facts"), [version, state.reactor, `up ${span(state.uptime)}`].filter(Boolean).join(" · "));
  if (state.draining) tell("draining: it ends once these conversations are over", "draining");
  else tell("serving", "");
  draw_rates(state);
  find("#figures").replaceChildren(...figures(state).map(figure));
  draw_rows("#open", state.connections, state.draining);
  draw_rows("#ended", state.ended, false);
  find(".rows").style.setProperty("--rows", 5 * Math.ceil(Math.max(1, state.connections.length) / 5));
  const others = state.unlisted ? `and ${whole(state.unlisted)} others` : "";
  write(find("#unlisted"), state.open ? others : "nobody is connected");
  draw_on([...state.connections, ...state.ended].find(({ id }) => String(id) === watched));
}

/** Return the sentence with which the events are refused, if they are. */
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

/** Say that no more is heard. The browser tries again by itself, unless it was refused. */
async function lost({ target }) {
  heard = Infinity;
  const refused = target.readyState === EventSource.CLOSED;
  const sentence = refused ? await refusal() : "";
  if (target !== source) return;
  tell(sentence || UNREACHABLE, "stale");
  if (refused) setTimeout(() => target === source && watch(), 2000);
}

/** Watch, and show the wire of the conversation in the URL's hash. */
function watch() {
  const id = location.hash.match(/^#(\d+)$/)?.[1] ?? "";
  if (id !== watched) clear_wire();
  watched = id;
  find("#wire").hidden = !id;
  source?.close();
  source = new EventSource(id ? `events?wire=${id}` : "events");
  const on = (name, act) => source.addEventListener(name, ({ data }) => act(JSON.parse(data)));
  on("state", take);
  on("wire", show_wire);
  on("missing", () => clear_wire("This conversation is not recorded, or no longer: choose another."));
  source.onerror = lost;
}

addEventListener("hashchange", () => {
  watch();
  if (watched && !find("main").offsetParent) find("#back").focus();
});
addEventListener("keydown", ({ key }) => key === "Escape" && watched && (location.hash = ""));
new ResizeObserver(redraw).observe(find("#paper"));
setInterval(() => performance.now() - heard > 5000 && tell(UNREACHABLE, "stale"), 1000);
watch();
