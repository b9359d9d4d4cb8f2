// What keyboard, keycaps on the page and gamepad ask for.

// The person's axes: x away, y left, z up. A turn about an axis is right-handed.
const MOVES = { w: [0, 1], s: [0, -1], a: [1, 1], d: [1, -1], e: [2, 1], q: [2, -1] };
const TURNS = { u: [0, 1], o: [0, -1], k: [1, 1], i: [1, -1], j: [2, 1], l: [2, -1] };
const SAME = { arrowup: "w", arrowdown: "s", arrowleft: "a", arrowright: "d", pageup: "e", pagedown: "q" };
const PRESSES = { " ": "gripper", enter: "success", n: "failure", p: "reset", backspace: "discard", h: "switch" };

const DEAD = 0.12; // of a stick
const PAD_PRESSES = {
  0: "gripper", 1: "undo", 2: "failure", 3: "reset", 5: "switch", 8: "discard", 9: "success",
};
const LEFT_BUMPER = 4;
const TRIGGERS = [6, 7];

export const CROSS = [["w", "s"], ["a", "d"], ["e", "q"]]; // keys along the three axes

export class Keys {
  /** press(name) is called for what is pressed once, changed() when a key goes up or down. */
  constructor(press, changed) {
    this.down = new Set();
    this.press = press;
    this.changed = changed;
    this.locked = false; // slow, by a tap on the page
    this.padDown = new Set();
    addEventListener("keydown", (event) => this.keydown(event));
    addEventListener("keyup", (event) => this.up(name(event)));
    addEventListener("blur", () => this.clear());
    document.addEventListener("visibilitychange", () => this.clear());
    for (const cap of document.querySelectorAll("[data-key]")) this.attach(cap);
  }

  keydown(event) {
    const key = name(event);
    if (event.altKey || event.metaKey && key !== "z") return;
    if ((event.ctrlKey || event.metaKey)) {
      if (key !== "z") return;
      event.preventDefault();
      if (!event.repeat) this.press("undo");
      return;
    }
    if (event.target.closest?.("button, a") && (key === " " || key === "enter")) return;
    if (key in PRESSES) {
      event.preventDefault();
      if (!event.repeat) this.press(PRESSES[key]);
    } else if (key in MOVES || key in TURNS || key === "shift") {
      event.preventDefault();
      if (!event.repeat) this.hold(key);
    }
  }

  attach(cap) {
    const key = cap.dataset.key;
    cap.addEventListener("contextmenu", (event) => event.preventDefault());
    if (key === "shift") {
      cap.addEventListener("click", () => { this.locked = !this.locked; this.changed(); });
      return;
    }
    cap.addEventListener("pointerdown", (event) => {
      cap.setPointerCapture?.(event.pointerId);
      this.hold(key);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      cap.addEventListener(end, () => this.up(key));
  }

  hold(key) { this.down.add(key); this.changed(); }
  up(key) { if (this.down.delete(key)) this.changed(); }
  clear() { this.down.clear(); this.changed(); }
  has(key) { return this.down.has(key) || (key === "shift" && this.locked); }

  /** Return what is asked for now. */
  hand() {
    const move = [0, 0, 0], turn = [0, 0, 0];
    for (const key of this.down) {
      if (key in MOVES) move[MOVES[key][0]] += MOVES[key][1];
      if (key in TURNS) turn[TURNS[key][0]] += TURNS[key][1];
    }
    const slow = this.gamepad(move, turn) || this.has("shift");
    return { type: "hand", move: move.map(limited), turn: turn.map(limited), slow };
  }

  /** Tell whether a trigger of the first gamepad was pressed just now: an emergency stop. */
  stops() {
    const pad = firstPad();
    const before = this.stopping;
    this.stopping = TRIGGERS.some((index) => pad?.buttons[index]?.pressed);
    return this.stopping && !before;
  }

  /** Add the first gamepad's sticks; return whether it asks for slow motion. */
  gamepad(move, turn) {
    const pad = firstPad();
    this.pad = pad?.id ?? null;
    if (!pad) return false;
    const stick = (axis) => {
      const value = pad.axes[axis] ?? 0;
      return Math.abs(value) < DEAD ? 0 : (value - Math.sign(value) * DEAD) / (1 - DEAD);
    };
    const held = (index) => pad.buttons[index]?.pressed ?? false;
    move[0] -= stick(1);
    move[1] -= stick(0);
    move[2] -= stick(3);
    turn[2] -= stick(2);
    turn[1] += held(13) - held(12);
    turn[0] += held(14) - held(15);
    for (const index in PAD_PRESSES) {
      if (held(index) && !this.padDown.has(index)) this.press(PAD_PRESSES[index]);
      this.padDown[held(index) ? "add" : "delete"](index);
    }
    return held(LEFT_BUMPER);
  }
}

const firstPad = () => [...(navigator.getGamepads?.() ?? [])].find((one) => one?.connected);
const limited = (value) => Number.isFinite(value) ? Math.max(-1, Math.min(1, value)) : 0;

function name(event) {
  const key = event.key.toLowerCase();
  return SAME[key] ?? key;
}
