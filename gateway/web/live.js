// Follows one export until it is over: by a socket, and by long polls where no socket will open. Whatever was missed,
// the newest state comes, since every frame is a whole state.

import { ask, exportPath, post } from "./api.js";

const FAILURES_BEFORE_POLLING = 3;
const LONGEST_PAUSE = 30_000;

export class Live {
  constructor(id, { onState, onLink, onStop }) {
    Object.assign(this, { id, onState, onLink, onStop });
    this.position = undefined;
    this.failures = 0;
    this.over = false;
    this.heartbeat = 15_000;
    this.heardAt = Date.now();
    this.hurry = () => document.visibilityState === "visible" && this.again(0);
    this.hide = () => this.drop();
    addEventListener("online", this.hurry);
    addEventListener("pageshow", this.hurry);
    addEventListener("pagehide", this.hide); // an open socket would keep the page out of the back/forward cache
    document.addEventListener("visibilitychange", this.hurry);
    // A half-open socket tells nobody: what is silent for too long is dropped.
    this.watchdog = setInterval(() => this.socket && Date.now() - this.heardAt > 2.5 * this.heartbeat && this.lost(), 500);
    this.again(0);
  }

  stop() {
    this.over = true;
    removeEventListener("online", this.hurry);
    removeEventListener("pageshow", this.hurry);
    removeEventListener("pagehide", this.hide);
    document.removeEventListener("visibilitychange", this.hurry);
    clearInterval(this.watchdog);
    clearTimeout(this.timer);
    this.polling?.abort();
    this.drop();
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  again(pause) {
    if (this.over || this.socket || this.opening) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), pause);
  }

  async open() {
    this.opening = true;
    try {
      const { ticket } = await post("/api/v1/tickets");
      if (!this.over) this.connect(ticket);
    } catch (fault) {
      if (fault.status === 401) this.end(fault);
      else this.failed();
    } finally {
      this.opening = false;
    }
  }

  connect(ticket) {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/api/v1/ws`);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.onopen = () => {
      const exports = [{ id: this.id, at: this.position }];
      socket.send(JSON.stringify({ type: "hello", ticket, acks: true, exports }));
    };
    socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.lost(code, reason);
  }

  hear(frame) {
    this.heardAt = Date.now();
    if (frame.type === "welcome") {
      this.heartbeat = frame.heartbeat_seconds * 1000;
      this.failures = 0;
      this.polling?.abort();
    } else if (frame.type === "state") {
      this.show(frame.export);
      this.ack();
    } else if (frame.type === "missing") {
      this.end(new Error("There is no such export, or it is not yours."));
    } else if (frame.type === "unavailable") {
      const exports = [{ id: this.id, at: this.position }];
      setTimeout(() => this.socket?.send(JSON.stringify({ type: "subscribe", exports })), 2000);
    } else if (frame.type === "bye") {
      this.pause = frame.reconnect_in_ms;
    }
    if (!this.over) this.onLink(frame.stale_since ? "stale" : "live");
  }

  // When it was drawn, and not when it came: a busy page is sent less. A hidden one draws nothing.
  ack() {
    const socket = this.socket;
    const say = () => socket?.readyState === WebSocket.OPEN && socket.send('{"type":"ack"}');
    if (document.hidden) setTimeout(say, 1000);
    else requestAnimationFrame(say);
  }

  show(shown) {
    if (this.over) return;
    this.position = shown.position;
    this.onState(shown);
    if (shown.result) this.stop();
  }

  end(fault) {
    this.stop();
    this.onStop(fault);
  }

  lost(code = 1006, reason = "") {
    this.drop();
    if (code >= 4500 && code < 5000) this.end(new Error(reason || "The service closed the connection."));
    else if (code === 4000) this.again(this.pause ?? 0);
    else if (code === 4001) this.again(0);
    else this.failed();
  }

  failed() {
    this.failures += 1;
    this.onLink("lost");
    const most = Math.min(LONGEST_PAUSE, 500 * 2 ** this.failures);
    this.opening = false;
    this.again(250 + Math.random() * most);
    if (this.failures >= FAILURES_BEFORE_POLLING && !this.polling) this.poll();
  }

  async poll() {
    const polling = new AbortController();
    this.polling = polling;
    while (!this.over && !polling.signal.aborted) {
      try {
        const headers = { prefer: "wait=25", "if-none-match": `"${this.position ?? ""}"` };
        const answer = await ask(exportPath(this.id), { headers, signal: polling.signal, cache: "no-store" });
        this.onLink("live");
        if (answer.status === 200) this.show(await answer.json());
      } catch (fault) {
        if (polling.signal.aborted) break;
        if ([401, 404].includes(fault.status)) return this.end(fault);
        this.onLink("lost");
        await new Promise((resume) => setTimeout(resume, 3000));
      }
    }
    this.polling = null;
  }
}
