// What the page knows, and what can be done. Views only read it; every change is drawn.

import { ask, exportPath, get, newKey, post, projectPath } from "./api.js";
import { Live } from "./live.js";
import { headline, KINDS, left } from "./words.js";

export const state = {};
let draw;
let live;
let speed;

export function set(patch) {
  Object.assign(state, patch);
  draw();
}

const fail = (fault) => set({ fault });
export const address = (project, id) =>
  `/projects/${encodeURIComponent(project)}${id ? `/exports/${encodeURIComponent(id)}` : ""}`;

export function start(drawn) {
  draw = drawn;
  addEventListener("popstate", enter);
  setInterval(() => state.shown && !state.shown.result && draw(), 1000); // ages grow without news
  enter();
}

export function go(path) {
  history.pushState(null, "", path);
  enter();
  scrollTo(0, 0);
}

export function enter() {
  const [, , project, , id] = location.pathname.split("/").map(decodeURIComponent);
  live?.stop();
  live = speed = undefined;
  document.title = "Export";
  set({ project, id, kinds: Object.keys(KINDS), plan: null, shown: null, fault: null, link: "live", heard: Date.now(),
    past: null, eta: null, stopping: null, copied: false, busy: false, form: "none", since: null });
  if (id) follow();
  else if (project) plan();
  if (project) history_();
}

// ---- before

export async function plan() {
  const { project } = state;
  const wanted = options();
  const stale = () => project !== state.project || state.id || JSON.stringify(wanted) !== JSON.stringify(options());
  try {
    const found = await post(`${projectPath(project)}/export/plan`, { options: wanted });
    if (stale()) return;
    document.title = `${found.project.name || project} · Export`;
    localStorage.recent = JSON.stringify([...new Set([project, ...recent()])].slice(0, 8));
    set({ plan: found, fault: null });
  } catch (fault) { if (!stale()) fail(fault); }
}

export const recent = () => JSON.parse(localStorage.recent ?? "[]");
const options = () => ({ include: { kinds: state.kinds }, ...(state.form === "changes" ? { archive: "zip", since: state.since ?? folders()[0].export_id } : { archive: state.form }) });

// Earlier exports that were downloaded as folders, newest first: a later one can be unpacked over them.
export const folders = () => state.past?.exports.filter((one) => one.links.download && one.result.archive?.layout !== "otioz") ?? [];

export function choose(patch) {
  set(patch);
  plan();
}

export const toggled = (kind) => Object.keys(KINDS).filter((one) => (one === kind) !== state.kinds.includes(one));

export async function begin() {
  set({ busy: true });
  const headers = { "idempotency-key": newKey() };
  try {
    const { export_id } = await post(`${projectPath(state.project)}/export`, { options: options() }, headers);
    go(address(state.project, export_id));
  } catch (fault) { set({ fault, busy: false }); }
}

export async function history_(cursor) {
  const { project, past } = state;
  const query = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
  const found = await get(`${projectPath(project)}/exports?limit=10${query}`).catch(() => null);
  if (found && project === state.project) set({ past: { ...found, exports: [...(cursor ? past.exports : []), ...found.exports] } });
}

// ---- while it runs, and after

function follow() {
  const { id } = state;
  live = new Live(id, { onState: hear, onLink: (link) => set(link === "live" ? { link, heard: Date.now() } : { link }), onStop: fail });
  hold(id);
}

const hold = (id) => get(`${exportPath(id)}/plan`).then((found) => id === state.id && set({ plan: found }), () => {});

function hear(shown) {
  const name = shown.project_name || state.project;
  document.title = shown.result ? `${headline(shown)} · ${name}` : `${shown.percent} % · ${name}`;
  if (shown.result && state.shown) {
    hold(shown.export_id);
    if (document.hidden && globalThis.Notification?.permission === "granted") new Notification(name, { body: headline(shown) });
  }
  set({ shown, heard: Date.now(), eta: eta(shown) });
}

// From the speed of the last seconds; not said before it is steady.
function eta({ state: stage, bytes }) {
  if (stage !== "copying" || !bytes?.done) return (speed = null);
  const at = Date.now() / 1000;
  const { began, rate, ...before } = speed ?? { began: at, at, done: bytes.done };
  const passed = at - before.at;
  const now = passed ? Math.max(0, bytes.done - before.done) / passed : undefined;
  speed = { began, at, done: bytes.done, rate: rate === undefined ? now : rate + (1 - Math.exp(-passed / 5)) * ((now ?? rate) - rate) };
  return at - began > 4 && speed.rate ? left((bytes.total - bytes.done) / speed.rate) : null;
}

export function cancel() {
  clearTimeout(state.stopping);
  const { cancel: path } = state.shown.links;
  set({ stopping: state.stopping ? null : setTimeout(() => post(path).then(() => set({ stopping: null }), fail), 5000) });
}

export const copy = () =>
  navigator.clipboard.writeText(new URL(state.shown.links.download, location).href).then(() => set({ copied: true }), fail);

export const notify = () => Notification.requestPermission().then(draw);

export async function picture(box, href) {
  const answer = await ask(href).catch(() => null);
  if (answer) box.src = URL.createObjectURL(await answer.blob());
}
