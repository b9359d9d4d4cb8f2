// A tracked hand, by WebXR: a headset's controller, or the phone itself.

import { Panel } from "/panel.js";

const PERIOD = 18; // ms between two messages: 50 Hz
const TRIGGER = 0, GRIP = 1;
const PRESSES = { 3: "reset", 4: "success", 5: "discard" };

export class Tracked {
  /** hand(message) is called at 50 Hz, press(name) for buttons, picture is a canvas to show. */
  constructor({ hand, press, ended, picture, overlay }) {
    Object.assign(this, { hand, press, ended, picture, overlay });
    this.session = null;
    this.sent = -Infinity;
    this.down = new Set();
    this.touching = false;
    this.pair = false; // of arms
  }

  /** Return "immersive-ar", "immersive-vr", or null where this browser has neither. */
  static async mode() {
    for (const mode of ["immersive-ar", "immersive-vr"]) {
      if (await navigator.xr?.isSessionSupported(mode).catch(() => false)) return mode;
    }
    return null;
  }

  async start(mode) {
    const session = await navigator.xr.requestSession(mode, {
      requiredFeatures: ["local"],
      optionalFeatures: ["dom-overlay"],
      domOverlay: { root: this.overlay },
    });
    this.session = session;
    session.addEventListener("end", () => { this.session = null; this.panel = null; this.ended(); });
    // A finger on the phone's screen, not one on a button of the overlay.
    this.overlay.addEventListener("beforexrselect", (event) => event.preventDefault());
    session.addEventListener("selectstart", (event) => {
      this.touching ||= event.inputSource.targetRayMode === "screen";
    });
    session.addEventListener("selectend", () => { this.touching = false; });
    this.panel = await Panel.make(session);
    this.space = await session.requestReferenceSpace("local");
    session.requestAnimationFrame((time, frame) => this.frame(time, frame));
  }

  end() { return this.session?.end(); }

  frame(time, frame) {
    if (!this.session) return;
    this.session.requestAnimationFrame((...next) => this.frame(...next));
    const viewer = frame.getViewerPose(this.space);
    this.panel?.draw(viewer, this.picture());
    if (time - this.sent < PERIOD) return;
    this.sent = time;
    this.hand(this.read(frame, viewer));
  }

  /** Return the message. Of two arms each controller drives its own: the right one is second. */
  read(frame, viewer) {
    const sources = [...this.session.inputSources].filter((one) => one.gripSpace && one.gamepad);
    if (!this.pair || !sources.length) return this.one(frame, sources[0], viewer);
    const [left, right] = ["left", "right"].map((side) =>
      this.one(frame, sources.find((one) => one.handedness === side), null, side));
    return { ...left, second: right };
  }

  /** Return where one hand is while it holds the arm, and how far it grips. */
  one(frame, source, viewer, side = "") {
    const message = { type: "hand", move: [0, 0, 0], turn: [0, 0, 0], slow: false };
    const buttons = source?.gamepad.buttons ?? [];
    if (source) {
      if (buttons[TRIGGER]) message.opening = 1 - Math.max(0, Math.min(1, buttons[TRIGGER].value));
      this.once(buttons, side);
    }
    const holds = source ? buttons[GRIP]?.pressed : viewer && this.touching;
    const pose = source ? frame.getPose(source.gripSpace, this.space) : viewer;
    if (holds && pose) {
      const { position: p, orientation: o } = pose.transform;
      message.grasped = { position: [p.x, p.y, p.z], orientation: [o.x, o.y, o.z, o.w] };
    }
    return message;
  }

  once(buttons, side) {
    for (const index in PRESSES) {
      const held = buttons[index]?.pressed ?? false, key = side + index;
      if (held && !this.down.has(key)) this.press(PRESSES[index]);
      this.down[held ? "add" : "delete"](key);
    }
  }
}
