// Asks the gateway; knows the token, and when there is none.

const KEY = "export-token";

// A link may bring a token in its fragment, which no server sees; it must not stay in the address.
const brought = new URLSearchParams(location.hash.slice(1)).get("token");
if (brought) {
  sessionStorage.setItem(KEY, brought);
  history.replaceState(null, "", location.pathname + location.search);
}

export const token = () => sessionStorage.getItem(KEY);
export const signIn = (text) => sessionStorage.setItem(KEY, text.trim());

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The service answered ${status}.`);
    Object.assign(this, { status, body });
  }
}

export async function ask(path, { method = "GET", body, headers = {}, ...more } = {}) {
  const sent = { ...headers };
  if (token()) sent.authorization = `Bearer ${token()}`;
  if (body) sent["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers: sent, body: body && JSON.stringify(body), ...more });
  if (answer.ok || answer.status === 304) return answer;
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

export const get = async (path) => (await ask(path)).json();
export const post = async (path, body, headers) => (await ask(path, { method: "POST", body, headers })).json();

export const projectPath = (id) => `/api/v1/projects/${encodeURIComponent(id)}`;
export const exportPath = (id) => `/api/v1/exports/${encodeURIComponent(id)}`;

export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
