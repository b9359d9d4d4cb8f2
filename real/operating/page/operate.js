// The page of an operator: shows the session as the server tells it, sends what is chosen.

import { Choices } from "/choices.js";

const RETRY = 1000; // ms
const REFUSED = 8000; // so long stays what was refused [ms]
const TURNED_AWAY = 1008; // WebSocket close code: the server had enough of us
const STEPS = [
  ["preflight", "Checks"], ["next", "Stand clear"], ["moving", "Arm moves"], ["reset", "Place"],
  ["ready", "Ready"], ["running", "Runs"], ["label", "Label"], ["labelled", "Done"],
];
const ENDS = ["ended", "rating", "closing", "closed"];

const $ = (id) => document.getElementById(id);
const text = (id, value) => { if ($(id).textContent !== value) $(id).textContent = value; };

let socket = null;
let told = null; // the server's last message: view, role, now, ...
let skew = 0; // the server's clock minus ours [s]
let since = 0; // when the phase began, by our clock [ms]
let refused = "";
let refusedAt = 0;
let who = sessionStorage.getItem("who") ?? "";

const say = (message) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
};
const answers = () => ["operates", "rates"].includes(told?.role);
const choices = new Choices((choice, words) => {
  if (!answers()) return;
  refused = "";
  say({ type: "answer", name: choice.name, value: choice.value, text: words, number: told.view.number });
});

// ---- stop: always, for everybody ------------------------------------------------------------

function stop() {
  if (socket?.readyState === WebSocket.OPEN) {
    say({ type: "stop" });
    label("Stop sent…");
  } else {
    label("No connection: use the switch at the arm");
  }
}
function label(words) {
  $("stop").firstChild.textContent = `${words} `;
  clearTimeout(label.timer);
  label.timer = setTimeout(() => { $("stop").firstChild.textContent = "Stop the arm "; }, 4000);
}
$("stop").onclick = stop;
addEventListener("keydown", (event) => {
  const moves = ["moving", "running"].includes(told?.view.phase) && !document.querySelector("dialog[open]");
  if (event.key !== "Escape" && !(event.key === " " && moves)) return;
  event.preventDefault();
  stop();
});

// ---- connection -----------------------------------------------------------------------------

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket`);
  socket.onopen = () => { if (who) say({ type: "hello", who }); };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "view") show(message);
    if (message.type === "complaint") {
      [refused, refusedAt] = [message.text, Date.now()];
      showProblem();
    }
    if (message.type === "stopped") label("The arm was told to stop");
  };
  socket.onclose = ({ code }) => {
    lost(code === TURNED_AWAY);
    if (code !== TURNED_AWAY) setTimeout(connect, RETRY);
  };
}

function lost(forGood) {
  document.body.dataset.role = "lost";
  const words = forGood ? "Turned away: reload the page" : "Connection lost: trying again";
  $("role").replaceChildren(bold(words));
  choices.show(told?.view.choices ?? [], false, -1);
}

// ---- who operates ---------------------------------------------------------------------------

$("who").querySelector("form").onsubmit = () => {
  who = $("name").value.trim();
  sessionStorage.setItem("who", who);
  say({ type: "hello", who });
};
$("who").oncancel = (event) => event.preventDefault();

function askWho() {
  if (who || $("who").open || told.view.phase === "closed") return;
  $("who").show();
  $("name").focus();
}

function showRole() {
  const { role, driver, watching, view } = told;
  document.body.dataset.role = role;
  const others = watching ? `, ${watching} watching` : "";
  if (answers()) {
    const other = item("button", view.phase === "rating" && role === "operates" ? "I am somebody else" : "");
    other.hidden = !other.textContent;
    other.onclick = () => { who = ""; askWho(); };
    const part = role === "rates" ? "Second person" : "You operate";
    $("role").replaceChildren(bold(part), ` ${who}${others}`, other);
    return;
  }
  const take = document.createElement("button");
  take.textContent = "Take over";
  take.disabled = !who;
  take.onclick = () => say({ type: "take" });
  const state = role === "watches" || driver ? `You watch: ${driver || "another page"} operates` : "Nobody operates";
  $("role").replaceChildren(bold(state), " ", take);
}

// ---- what there is to see -------------------------------------------------------------------

const bold = (words) => Object.assign(document.createElement("b"), { textContent: words });
const item = (tag, words, name = "") =>
  Object.assign(document.createElement(tag), { textContent: words, className: name });

/** Show what went wrong: what was refused a moment ago, else what the session tells. */
function showProblem() {
  if (Date.now() - refusedAt > REFUSED) refused = "";
  const words = refused || told?.view.problem || "";
  $("problem").hidden = !words;
  text("problem", words);
}

function show(message) {
  const before = told?.view;
  told = message;
  skew = message.now - Date.now() / 1000;
  const view = message.view;
  if (before?.phase !== view.phase || before?.code !== view.code) since = Date.now();
  Object.assign(document.body.dataset, {
    phase: view.phase, number: view.number, code: view.code, trial: view.trial, who: message.who,
    side: view.pictures.length || view.phase === "preflight" ? "picture" : "facts",
  });
  document.title = view.code ? `${view.code} · session` : `${view.session} · session`;
  text("session", view.session);
  text("ask", view.ask);
  $("code-box").hidden = !view.code;
  text("code", view.code);
  const again = view.attempt > 1 ? `, attempt ${view.attempt}` : "";
  text("where", `Trial ${view.trial} of ${view.trials}${again}`);
  $("detail").replaceChildren(...view.detail.map((line) => item("li", line)));
  $("suggestion").hidden = !view.suggestion;
  text("suggestion", view.suggestion);
  $("report").hidden = !message.report;
  choices.show(offered(message), answers(), view.number);
  showRole();
  showSteps(view);
  showFacts(view);
  showChecks(view);
  showPicture(view);
  askWho();
  tick();
}

/** What this person may answer: a film is rated by somebody who did not operate. */
function offered({ view, role }) {
  if (view.phase !== "rating") return view.choices;
  return view.choices.filter((choice) => (choice.value === "skip") === (role !== "rates"));
}

function showSteps(view) {
  const place = STEPS.findIndex(([phase]) => phase === view.phase);
  const end = ENDS.includes(view.phase);
  $("steps").replaceChildren(...STEPS.slice(1).map(([phase, name], i) =>
    item("li", name, phase === view.phase ? "here" : end || i + 1 < place ? "past" : "")));
  $("steps").hidden = view.phase === "preflight" || end;
}

function showFacts(view) {
  const past = STEPS.findIndex(([phase]) => phase === view.phase) > 6;
  const complete = view.blocks ? view.trials * view.test.complete / view.blocks : 0;
  const made = ENDS.includes(view.phase) ? complete : Math.max(0, view.trial - (past ? 0 : 1));
  $("bar").firstElementChild.style.width = `${view.trials ? 100 * made / view.trials : 0}%`;
  text("trials", view.trials ? `${made} of at most ${view.trials} done` : "–");
  text("blocks", view.blocks ? `${view.test.complete} of at most ${view.blocks} complete` : "–");
  text("voids", view.voids ? `${view.voids}, made again` : "none");
  text("test", view.test.text || "–");
  text("instruction", view.instruction || "–");
  const many = view.deviations.length;
  $("deviations").hidden = !many;
  text("deviations-title", `${many} deviation${many === 1 ? "" : "s"} from the plan`);
  $("deviations").querySelector("ol").replaceChildren(...view.deviations.map((line) => item("li", line)));
}

function showChecks(view) {
  $("checks").hidden = view.phase !== "preflight" || !view.checks.length;
  const open = new Set([...document.querySelectorAll("#checks details[open]")].map((d) => d.dataset.name));
  $("checks").replaceChildren(...view.checks.map((check) => {
    const row = item("article", "", check.outcome.replaceAll(" ", "-"));
    row.append(item("b", check.title), item("span", check.outcome, "outcome"), item("p", check.text));
    const found = Object.entries(check.evidence).filter(([, value]) => typeof value !== "object");
    if (found.length) {
      const more = Object.assign(document.createElement("details"), { open: open.has(check.name) });
      more.dataset.name = check.name;
      more.append(item("summary", "numbers"),
        item("p", found.map(([name, value]) => `${name}: ${value}`).join(", ")));
      row.append(more);
    }
    return row;
  }));
}

// ---- pictures -------------------------------------------------------------------------------

let drawn = "";

async function showPicture(view) {
  const name = ["film", "overlay"].find((known) => view.pictures.includes(known)) ?? "";
  $("picture").hidden = !name;
  const wanted = name && `${name}?n=${view.number}`;
  if (wanted === drawn) return;
  drawn = wanted;
  if (!name) return;
  const answer = await fetch(`/picture/${wanted}`).catch(() => null);
  if (!answer?.ok || wanted !== drawn) return;
  const address = URL.createObjectURL(await answer.blob());
  const [shown, other] = name === "film" ? [$("film"), $("overlay")] : [$("overlay"), $("film")];
  if (shown.src) URL.revokeObjectURL(shown.src);
  shown.src = address;
  shown.hidden = false;
  other.hidden = true;
  if (name === "film") shown.play().catch(() => {});
}

// ---- clocks ---------------------------------------------------------------------------------

function tick() {
  if (!told) return;
  showProblem();
  const { view } = told;
  const left = view.undo_until === null ? 0 : view.undo_until - Date.now() / 1000 - skew;
  const running = view.phase === "running" || view.phase === "moving";
  $("clock").hidden = !running && !(left > 0);
  $("clock").classList.toggle("undo", !running);
  const limit = view.phase === "running" && view.limit_s ? ` of at most ${+view.limit_s.toFixed(1)} s` : " s";
  if (running) text("clock", `${((Date.now() - since) / 1000).toFixed(0)}${limit}`);
  else text("clock", `labels can be taken back for ${Math.ceil(Math.max(0, left))} s`);
  $("clock").style.setProperty("--left", `${Math.min(100, Math.max(0, 10 * left))}%`);
}
setInterval(tick, 200);

$("deviations").querySelector("summary").id = "deviations-title";
connect();
