// What may be answered now, as large buttons; a reason is asked for where one is needed.

const $ = (id) => document.getElementById(id);

/** Shows choices and hands the one that is taken to `take(choice, text)`. */
export class Choices {
  constructor(take) {
    this.take = take;
    this.shown = "";
    this.list = [];
    this.asking = null;
    $("why-not").onclick = () => $("why").close();
    $("reason").oninput = () => { $("why-ok").disabled = !$("reason").value.trim(); };
    $("why").querySelector("form").onsubmit = () => {
      const [choice, words] = [this.asking, $("reason").value.trim()];
      if (choice && words) this.take(choice, words);
    };
    $("why").onclose = () => { this.asking = null; };
    addEventListener("keydown", (event) => this.key(event));
  }

  /** Show `list`, to the view with this number; `live` tells whether this page may answer. */
  show(list, live, number) {
    const all = JSON.stringify([list, live, number]);
    if (all === this.shown) return;
    this.shown = all;
    this.list = live ? list : [];
    // A question that has changed meanwhile is not answered with a reason for the old one.
    if (this.asking && !this.list.some((c) => same(c, this.asking))) $("why").close();
    const plain = list.filter((c) => !c.reason && c.name !== "undo");
    const others = list.filter((c) => c.reason || c.name === "undo");
    $("choices").replaceChildren(...plain.map((c) => this.button(c, live)));
    $("choices").classList.toggle("many", plain.length > 4);
    $("aside").replaceChildren(...others.map((c) => this.button(c, live)));
  }

  button(choice, live) {
    const made = document.createElement("button");
    made.dataset.name = choice.name;
    made.dataset.value = choice.value;
    made.disabled = !live;
    const label = document.createElement("span");
    const [title, about] = choice.label.split(/: (.*)/s);
    label.textContent = title.replaceAll("_", " ") + (choice.reason ? "…" : "");
    if (about) {
      const small = document.createElement("small");
      small.textContent = about;
      label.append(small);
    }
    made.append(label);
    if (choice.key) {
      const key = document.createElement("kbd");
      key.textContent = KEYS[choice.key] ?? choice.key.toUpperCase();
      made.append(key);
    }
    made.onclick = () => this.chosen(choice);
    return made;
  }

  chosen(choice) {
    if (!this.list.some((c) => same(c, choice))) return;
    if (!choice.reason) return this.take(choice, "");
    this.asking = choice;
    $("why-what").textContent = choice.label;
    $("reason").value = "";
    $("why-ok").disabled = true;
    $("why").show(); // not modal: stop stays within reach
    $("reason").focus();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (document.querySelector("dialog[open]") || event.key === "Escape") return;
    const pressed = event.key.toLowerCase();
    const choice = this.list.find((c) => c.key && c.key.toLowerCase() === pressed);
    if (!choice) return;
    event.preventDefault();
    this.chosen(choice);
  }
}

const KEYS = { " ": "Space", "\n": "Enter", "\r": "Enter" };
const same = (a, b) => a.name === b.name && a.value === b.value;
