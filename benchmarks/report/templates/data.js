/* The player: one stage, one clock; the curves and the starts follow it. */
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const { episodes, region } = JSON.parse(document.getElementById("player-data").textContent);
  const $ = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const stage = $("stage"), seek = $("seek"), play = $("play");
  let now = 0, shown = null, screen = null, above = null, running = false, last = 0;

  /* A screen shows a moment: a film, or the table drawn from the tracks, or nothing. */
  const filmScreen = (node) => {
    const bytes = Uint8Array.from(atob(node.textContent.trim()), (c) => c.charCodeAt(0));
    const address = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, src: address });
    video.addEventListener("loadedmetadata", () => { stage.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`; stage.closest(".show").classList.toggle("wide", video.videoWidth > 2.4 * video.videoHeight); });
    video.addEventListener("seeked", () => stage.setAttribute("data-ready", "yes"));
    stage.append(video);
    const to = (t) => { video.currentTime = Math.min(t, Math.max(0, (video.duration || t) - 0.02)); };
    video.addEventListener("loadeddata", () => to(now), { once: true });
    return { show: to, start: () => video.play().catch(() => {}), stop: () => video.pause(), time: () => video.ended ? shown.end : video.currentTime, close: () => URL.revokeObjectURL(address) };
  };
  /* The table from above, as a person behind the arm sees it: paths up to the moment. */
  const map = (canvas) => {
    const points = Object.values(shown.tracks).flat();
    const xs = points.map((p) => p[0]).concat(region ? region.slice(0, 2) : []), ys = points.map((p) => p[1]).concat(region ? region.slice(2) : []);
    const [w, h] = [canvas.width, canvas.height], size = w / 960;
    const middle = [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
    const scale = 0.84 * Math.min(h / (Math.max(...xs) - Math.min(...xs) + .05), w / (Math.max(...ys) - Math.min(...ys) + .05));
    const at = ([x, y]) => [w / 2 - scale * (y - middle[1]), h / 2 - scale * (x - middle[0])];
    const colour = { cube: "--c7", target: "--c3", hand: "--c1" };
    const order = Object.entries(shown.tracks).sort(([a], [b]) => (b === "target") - (a === "target") || (a === "hand") - (b === "hand"));
    return (t) => {
      const g = canvas.getContext("2d");
      g.clearRect(0, 0, w, h);
      if (region) {
        const [l, u] = at([region[1], region[3]]), [r, d] = at([region[0], region[2]]);
        g.strokeStyle = css("--strong-line"); g.setLineDash([9, 7]); g.lineWidth = 2 * size; g.strokeRect(l, u, r - l, d - u); g.setLineDash([]);
      }
      for (const [name, track] of order) {
        const i = Math.round(Math.min(1, t / shown.end) * (track.length - 1)), [x, y] = at(track[i]);
        g.strokeStyle = g.fillStyle = css(colour[name] ?? "--c6"); g.globalAlpha = .5; g.lineWidth = 4 * size;
        g.beginPath(); track.slice(0, i + 1).forEach((p) => g.lineTo(...at(p))); g.stroke(); g.globalAlpha = 1;
        if (name === "target") { g.globalAlpha = .3; g.beginPath(); g.arc(x, y, .05 * scale, 0, 7); g.fill(); g.globalAlpha = 1; }
        else if (name === "hand") { g.lineWidth = 6 * size; g.beginPath(); g.arc(x, y, .012 * scale, 0, 7); g.stroke(); }
        else g.fillRect(x - .02 * scale, y - .02 * scale, .04 * scale, .04 * scale);
        const [dx, dy] = name === "hand" ? [.02, -.02] : name === "target" ? [.054, .012] : [.03, .03];
        g.font = `${30 * size}px ` + css("--sans"); g.fillText(name, x + dx * scale, y + dy * scale);
      }
    };
  };
  const tableScreen = () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 960, height: 720 });
    stage.style.aspectRatio = "4 / 3";
    stage.append(canvas);
    stage.setAttribute("data-ready", "yes");
    return { ...clockScreen(), show: map(canvas) };
  };
  const clockScreen = () => {
    let from = 0, began = 0;
    return { show: () => {}, start: () => { from = now; began = performance.now(); }, stop: () => {}, time: () => from + (performance.now() - began) / 1000, close: () => {} };
  };
  const blankScreen = () => {
    stage.style.aspectRatio = "4 / 1.6";
    stage.setAttribute("data-ready", "yes");
    stage.innerHTML = '<p class="empty">No picture was recorded, and without a start state none can be simulated.</p>';
    return clockScreen();
  };

  const place = () => {
    const share = shown.end ? Math.min(1, now / shown.end) : 0;
    seek.value = share;
    $("clock").textContent = `${now.toFixed(1)} of ${shown.end.toFixed(1)} s`;
    if (above) above(now);
    for (const line of document.querySelectorAll(".curve .now")) { line.setAttribute("x1", 999 * share); line.setAttribute("x2", 999 * share); }
  };
  const go = (t) => { now = Math.max(0, Math.min(t, shown.end)); screen.show(now); if (running) screen.start(); place(); };
  const run = (on) => {
    running = on;
    play.innerHTML = on ? "&#10074;&#10074;" : "&#9654;";
    play.setAttribute("aria-label", on ? "Pause" : "Play");
    if (!on) return screen.stop();
    if (now >= shown.end - 0.05) go(0);
    screen.start();
    requestAnimationFrame(follow);
  };
  const follow = () => {
    if (!running) return;
    now = Math.min(screen.time(), shown.end);
    if (!stage.querySelector("video")) screen.show(now);
    place();
    if (now >= shown.end - 0.02) return run(false);
    requestAnimationFrame(follow);
  };
  const select = (i, start) => {
    last = i = (i + episodes.length) % episodes.length;
    if (screen) { run(false); screen.close(); }
    shown = episodes[i]; now = 0;
    stage.replaceChildren(); stage.removeAttribute("data-ready");
    const film = $(`film-${i}`), tracked = Object.keys(shown.tracks).length > 0;
    $("map").hidden = !(film && tracked);
    above = film && tracked ? map($("map-canvas")) : null;
    screen = film ? filmScreen(film) : tracked ? tableScreen() : blankScreen();
    $("kind").textContent = film ? (shown.kind === "cameras" ? "What the cameras recorded." : "Simulated again from the recorded start and commands.")
      : tracked ? "The table from above, seen from the arm: the paths of the hand and of the objects." : "";
    $("name").textContent = shown.name;
    const outcome = $("outcome");
    outcome.textContent = shown.outcome;
    outcome.className = "tag " + ({ success: "ok", failure: "fail" }[shown.outcome] ?? "");
    $("about").replaceChildren(...shown.facts.flatMap(([k, v]) => [Object.assign(document.createElement("dt"), { textContent: k }), Object.assign(document.createElement("dd"), { textContent: v })]));
    for (const svg of document.querySelectorAll(".curve svg")) {
      const j = svg.dataset.joint, line = (values) => values.map((v, k) => `${shown.t[k]},${999 - v}`).join(" ");
      svg.querySelector(".measured").setAttribute("points", line(shown.q[j]));
      svg.querySelector(".commanded").setAttribute("points", line(shown.a[j]));
    }
    for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", chip.dataset.episode == i);
    for (const mark of document.querySelectorAll(".mark[data-episode]")) {
      const here = mark.dataset.episode == i;
      mark.classList.toggle("here", here);
      if (here) mark.parentElement.append(mark);
    }
    go(0);
    if (start) run(true);
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-episode]");
    if (!link) return;
    select(Number(link.dataset.episode), true);
    if (!link.classList.contains("chip")) { event.preventDefault(); $("player").scrollIntoView(); }
  });
  play.addEventListener("click", () => run(!running));
  $("previous").addEventListener("click", () => select(last - 1, true));
  $("next").addEventListener("click", () => select(last + 1, true));
  seek.addEventListener("input", () => go(seek.value * shown.end));
  for (const svg of document.querySelectorAll(".curve svg")) {
    svg.addEventListener("click", (event) => { const box = svg.getBoundingClientRect(); go((event.clientX - box.left) / box.width * shown.end); });
  }
  select(0, false);
  go(0.45 * shown.end);
});
