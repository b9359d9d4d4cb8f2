// The page: shows what the server reports, sends what the person asks for 50 times a second.

import { CROSS, Keys } from "/keys.js";
import { Tracked } from "/xr.js";

const PERIOD = 20; // ms
const RETRY = 1000; // ms
const TURNED_AWAY = 1008; // WebSocket close code: the server had enough of us

const $ = (id) => document.getElementById(id);
const text = (id, value) => { if ($(id).textContent !== value) $(id).textContent = value; };

let socket = null;
let hello = null;
let state = null;
let canvases = [];
let main = 0;

const say = (message) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
};
const press = (key) => say({ type: "press", key });

// ---- devices --------------------------------------------------------------------------------

const keys = new Keys(press, () => { sendHand(); showKeys(); });
const tracked = new Tracked({
  hand: (message) => { if (state?.drives) say(message); },
  press,
  ended: () => { $("overlay").hidden = true; showXr(); },
  picture: () => canvases[main],
  overlay: $("overlay"),
});

function sendHand() {
  if (state?.drives && !tracked.session) say(keys.hand());
}
setInterval(sendHand, PERIOD);
setInterval(() => {
  text("pad", keys.pad ? `connected: ${keys.pad.split("(")[0].trim()}` : "press a button on it");
  $("pad").classList.toggle("on", Boolean(keys.pad));
}, 500);

for (const button of document.querySelectorAll("[data-press]")) {
  button.addEventListener("click", (event) => {
    press(button.dataset.press);
    if (event.detail) button.blur(); // so that Space and Enter do not press it again
  });
}

// ---- emergency stop: anybody may, driving or watching ---------------------------------------

const stop = (reaction, source = "browser") => say({ type: "stop", reaction, source });
setInterval(() => { if (keys.stops() && hello?.stops) stop("hold", "gamepad"); }, 20);
for (const button of document.querySelectorAll("[data-stop]"))
  button.addEventListener("click", () => stop(button.dataset.stop));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && hello?.stops) stop("hold");
}, true);

async function showXr() {
  const mode = await Tracked.mode();
  $("xr").disabled = !mode || !state?.drives;
  text("xr-state", tracked.session ? "in use" : mode ? "available" : "this browser has none");
  $("xr-state").classList.toggle("on", Boolean(mode));
  $("xr").onclick = async () => {
    $("overlay").hidden = false;
    try {
      await tracked.start(mode);
    } catch (error) {
      $("overlay").hidden = true;
      notice("bad", `The device refused: ${error.message}`);
    }
    text("xr-state", tracked.session ? "in use" : "available");
  };
}
$("xr-end").onclick = () => tracked.end();

// ---- connection -----------------------------------------------------------------------------

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) return showFrame(data);
    const message = JSON.parse(data);
    if (message.type === "hello") showHello(message);
    if (message.type === "state") showState(message);
    if (message.type === "complaint") notice("bad", `The server refused a command: ${message.text}`);
  };
  socket.onclose = ({ code, reason }) => {
    state = null;
    document.body.className = "held";
    document.body.dataset.drives = "false";
    const away = code === TURNED_AWAY;
    role("lost", away ? `Turned away: ${reason}` : "Connection lost: the arm is held");
    text("phase", "Held");
    if (away) return offer("try again", connect);
    setTimeout(connect, RETRY);
  };
}

function role(kind, words) {
  const box = $("role");
  if (box.dataset.words === words) return;
  box.dataset.words = words;
  box.className = `role ${kind}`;
  box.textContent = words;
}

function offer(words, act) {
  const button = document.createElement("button");
  button.textContent = words;
  button.onclick = act;
  $("role").append(" ", button);
}

// ---- what is shown --------------------------------------------------------------------------

function showHello(message) {
  hello = message;
  hello.about = `${hello.task} on ${hello.robot}; episodes go to the folder ${hello.folder}. Recording begins when you move.`;
  $("stages").replaceChildren(...hello.stages.map((name) => {
    const item = document.createElement("li");
    item.textContent = name;
    return item;
  }));
  text("judge", hello.judges
    ? "A success is seen and kept by itself. Discard shows another scene, Put back the same again."
    : "You judge: end each episode with Success or No success.");
  for (const item of document.querySelectorAll("[data-arm]")) item.hidden = !hello.stops;
  $("emergency").hidden = !hello.stops;
  text("adb", `adb reverse tcp:${location.port} tcp:${location.port}`);
  $("views").replaceChildren(...hello.views.map(makeView));
  canvases = [...document.querySelectorAll(".view canvas")];
  $("views").classList.toggle("four", canvases.length > 3);
  document.body.dataset.arms = Math.max(1, hello.hands.length);
  tracked.pair = hello.hands.length === 2;
  choose(0);
  $("clock").title = `a policy has ${hello.horizon} s, a demonstration ${hello.limit} s`;
  showXr();
}

function makeView(view, number) {
  const box = document.createElement("button");
  box.className = "view";
  box.title = `show ${view.name} large`;
  const canvas = document.createElement("canvas");
  canvas.width = view.width;
  canvas.height = view.height;
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = view.name.replace("_", " ");
  box.append(canvas, name);
  if (view.compass) box.append(cross(view.compass));
  box.onclick = (event) => { choose(number); if (event.detail) box.blur(); };
  return box;
}

function choose(number) {
  main = number;
  const boxes = [...document.querySelectorAll(".view")];
  boxes.forEach((box, i) => box.classList.toggle("main", i === number));
}

/** Return a drawing of where each key moves the hand in a picture. */
function cross(ways) {
  const make = (kind, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    return node;
  };
  const svg = make("svg", { viewBox: "-60 -60 120 120", "aria-hidden": "true" });
  const alike = ([a, b], [c, d]) => Math.abs(a * d - b * c) < 0.4 * Math.hypot(a, b) * Math.hypot(c, d);
  ways.forEach(([x, y], axis) => {
    if (axis === 2 && (alike(ways[0], ways[2]) || alike(ways[1], ways[2]))) return; // seen from above
    const length = Math.max(Math.hypot(x, y), 0.3);
    const [ux, uy] = [x / Math.hypot(x, y), y / Math.hypot(x, y)];
    CROSS[axis].forEach((key, side) => {
      const sign = side ? -1 : 1, tip = 14 + 22 * length;
      svg.append(
        make("line", { x1: 0, y1: 0, x2: sign * ux * tip, y2: sign * uy * tip, "data-cross": key }),
      );
      const label = make("text", {
        x: sign * ux * (tip + 11), y: sign * uy * (tip + 11), "data-cross": key,
      });
      label.textContent = key.toUpperCase();
      svg.append(label);
    });
  });
  return svg;
}

function showKeys() {
  for (const cap of document.querySelectorAll("[data-key]"))
    cap.classList.toggle("down", keys.has(cap.dataset.key));
  for (const line of document.querySelectorAll("[data-cross]"))
    line.classList.toggle("down", keys.has(line.dataset.cross));
}

function showState(message) {
  const before = state;
  state = message;
  const { body } = document;
  const look = state.held ? "held" : state.phase;
  if (body.className !== look) body.className = look;
  Object.assign(body.dataset, {
    phase: state.phase, held: state.held, drives: state.drives, episode: state.episode,
    saved: state.saved, failed: state.failed, stage: state.stage, steps: state.steps,
    hand: state.hand, opening: state.opening.toFixed(3), closing: state.closing, armed: state.armed,
    notice: state.notice.number, stopped: Boolean(state.stopped),
  });
  showRole();
  showArm();
  const seconds = state.steps / hello.hz;
  const ready = state.armed ? "Ready" : "Let go first";
  text("phase", state.stopped ? "Stopped" : state.held ? "Held" : state.phase === "recording" ? "Recording" : ready);
  text("clock", `${seconds.toFixed(1)} s`);
  $("clock").classList.toggle("late", seconds > hello.horizon);
  text("episode", `${state.episode}`);
  text("saved", `${state.saved}`);
  text("failed", `${state.failed}`);
  const which = hello.hands.includes(state.hand) ? `${state.hand} gripper` : "gripper";
  text("gripper", `${state.closing ? "Open" : "Close"} the ${which}`);
  text("instruction", state.instruction);
  text("about", state.scene || hello.about);
  [...$("stages").children].forEach((item, i) => {
    const look = i < state.stage ? "done" : i === state.stage ? "next" : "";
    if (item.className !== look) item.className = look;
  });
  if (state.notice.number !== before?.notice.number) notice(state.notice.tone, state.notice.text);
  if (state.drives !== before?.drives) showXr();
  if (state.drives !== before?.drives)
    for (const button of document.querySelectorAll("[data-press]")) button.disabled = !state.drives;
}

function showRole() {
  if (state.drives) {
    const others = state.browsers - 1;
    role("drives", `You drive${others ? `, ${others} watching` : ""}`);
  } else if (state.free) {
    if ($("role").dataset.words !== "The controls are free:") {
      role("", "The controls are free:");
      offer("take them", () => say({ type: "press", key: "take" }));
    }
  } else {
    role("", "You watch: another browser drives");
  }
}

/** Show which of two arms is driven: in the switch, and around the view of its wrist. */
function showArm() {
  const drives = (name) => state.hand === name || state.hand === "both";
  for (const label of document.querySelectorAll("[data-arm]"))
    label.classList.toggle("driven", drives(label.dataset.arm));
  document.querySelectorAll(".view").forEach((box, i) => {
    box.classList.toggle("driven", hello.hands.some(
      (name) => drives(name) && hello.views[i].name.startsWith(`${name}_`)));
  });
}

function notice(tone, words) {
  $("notice").className = `notice ${tone}`;
  text("notice", words);
}

async function showFrame(data) {
  const number = new Uint8Array(data, 0, 1)[0];
  const picture = await createImageBitmap(new Blob([new Uint8Array(data, 1)], { type: "image/jpeg" }));
  canvases[number]?.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
}

connect();
