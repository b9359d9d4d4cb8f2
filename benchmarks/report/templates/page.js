"use strict";
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /* Charts take their colours and type from the style sheet, so light and dark agree with it. */
  const config = () => {
    const ink = css("--ink"), soft = css("--soft"), line = css("--line"), sans = css("--sans");
    return {
      background: null, font: sans, padding: 2,
      view: { stroke: null },
      axis: {
        labelColor: soft, titleColor: soft, titleFontWeight: 500, labelFontSize: 11.5,
        titleFontSize: 12, gridColor: line, domainColor: css("--strong-line"),
        tickColor: css("--strong-line"), tickSize: 4, labelPadding: 5, titlePadding: 8,
      },
      legend: { labelColor: soft, titleColor: soft, titleFontWeight: 500, labelFontSize: 12, symbolStrokeWidth: 2, orient: "top", title: null },
      header: { labelColor: ink, labelFontSize: 12.5, labelFontWeight: 600, title: null },
      title: { color: ink, fontSize: 13, anchor: "start" },
      text: { color: ink }, rule: { color: soft },
    };
  };
  /* "var(--c1)" inside a specification becomes the colour of the present theme. */
  const themed = (text) => JSON.parse(text, (_, v) =>
    typeof v === "string" && v.startsWith("var(") ? css(v.slice(4, -1)) : v);
  /* Facets share the width: as many columns as fit beside the axis, each as wide as it can be. */
  const fit = (spec, target) => {
    const room = target.clientWidth - Number(target.dataset.margin);
    const facets = new Set(spec.data.values.map((v) => v[spec.facet.field])).size;
    const most = Math.max(1, Math.floor(room / Number(target.dataset.column)));
    const rows = Math.ceil(facets / most);
    spec.columns = Math.ceil(facets / rows);
    const width = Math.floor(room / spec.columns) - 26, cap = spec.usermeta?.cap ?? 420;
    const ratio = spec.usermeta?.ratio;
    spec.spec.width = Math.min(width, cap);
    if (ratio) spec.spec.height = Math.round(spec.spec.width * ratio);
  };
  const draw = () => {
    if (!window.vegaEmbed) return;
    for (const node of document.querySelectorAll("script.spec")) {
      const target = document.getElementById(node.dataset.for);
      const spec = themed(node.textContent);
      if (target.dataset.column) fit(spec, target);
      vegaEmbed(target, spec, { actions: false, renderer: "svg", config: config() })
        .then(() => target.setAttribute("data-drawn", "yes"))
        .catch((error) => { target.textContent = "This chart could not be drawn: " + error.message; console.error(error); });
    }
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  /* Sortable columns: the key is data-key of the cell; rows stay within their <tbody>. */
  const key = (row, i) => {
    const raw = row.children[i]?.dataset.key ?? row.children[i]?.textContent.trim() ?? "";
    const number = Number(raw);
    return raw !== "" && !Number.isNaN(number) ? number : raw;
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : typeof a === "number" ? -1 : typeof b === "number" ? 1 : a < b ? -1 : a > b ? 1 : 0;
  for (const th of document.querySelectorAll("th[aria-sort]")) {
    th.querySelector("button").addEventListener("click", () => {
      const first = th.dataset.first ?? "descending";
      const other = first === "descending" ? "ascending" : "descending";
      const order = th.getAttribute("aria-sort") === first ? other : first;
      for (const peer of th.parentElement.children) if (peer.hasAttribute("aria-sort")) peer.setAttribute("aria-sort", "none");
      th.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      for (const body of th.closest("table").tBodies) {
        if (!body.hasAttribute("data-sortable")) continue;
        const rows = [...body.rows].map((row) => [key(row, th.cellIndex), row]);
        const filled = rows.filter(([k]) => k !== ""), blank = rows.filter(([k]) => k === "");
        filled.sort((a, b) => sign * compare(a[0], b[0]));
        body.append(...[...filled, ...blank].map(([, row]) => row));
      }
    });
  }

  /* Videos are kept as text and decoded only when they come near the window. */
  const load = (video) => {
    const node = document.querySelector(`script.clip-data[data-for="${video.id}"]`);
    if (!node || video.src) return;
    const bytes = Uint8Array.from(atob(node.textContent.trim()), (c) => c.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    video.preload = "auto";
    /* The picture shown before the first play is from late in the trial, where it is decided. */
    video.addEventListener("loadedmetadata", () => {
      video.currentTime = 0.7 * video.duration;
      video.parentElement.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
    }, { once: true });
    video.addEventListener("play", () => { video.currentTime = 0; }, { once: true });
  };
  /* Controls appear when they are wanted, so that the pictures stay clear. */
  for (const video of document.querySelectorAll("video")) {
    for (const wish of ["pointerenter", "focus", "touchstart"]) {
      video.addEventListener(wish, () => { load(video); video.controls = true; }, { passive: true });
    }
    video.addEventListener("pointerleave", () => { if (video.paused) video.controls = false; });
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { load(entry.target); watcher.unobserve(entry.target); }
  }, { rootMargin: "300px" });
  document.querySelectorAll("video").forEach((video) => watcher.observe(video));
  /* A filter shows only the clips that match each of its selects. */
  for (const form of document.querySelectorAll("form.filter")) {
    const apply = () => {
      const wanted = [...form.querySelectorAll("select")].filter((s) => s.value !== "");
      for (const item of document.querySelectorAll(`#${form.dataset.for} > *`)) {
        item.classList.toggle("hide", !wanted.every((s) => item.dataset[s.name] === s.value));
      }
    };
    form.addEventListener("change", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /* A table that goes on to the right fades there; one that fits keeps its head in view. */
  for (const box of document.querySelectorAll(".scroll")) {
    const rest = () => box.scrollWidth - box.clientWidth - box.scrollLeft;
    const mark = () => box.classList.toggle("more-right", rest() > 4);
    const measure = () => {
      box.classList.remove("fits");
      box.classList.toggle("fits", box.scrollWidth <= box.clientWidth);
      mark();
    };
    box.addEventListener("scroll", mark, { passive: true });
    addEventListener("resize", measure);
    measure();
  }

  /* A link to a folded part opens it. */
  const unfold = () => {
    const part = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (part && part.tagName === "DETAILS") { part.open = true; part.scrollIntoView(); }
  };
  addEventListener("hashchange", unfold);
  unfold();

  /* The section in view is marked in the bar. */
  const links = new Map([...document.querySelectorAll(".topbar a[href^='#']")].map((a) => [a.getAttribute("href").slice(1), a]));
  const spy = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      for (const a of links.values()) { a.classList.remove("here"); a.removeAttribute("aria-current"); }
      const a = links.get(entry.target.id);
      a.classList.add("here"); a.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const id of links.keys()) { const part = document.getElementById(id); if (part) spy.observe(part); }
})();
