/** Calls of the API. The secret is asked for where the configuration wants it, or says nothing. */
import CONFIG, { buildUrl } from "./config_.js";
import { askCredentials } from "./component/modal/credentials.js";

const STORED = "mlCredentials";
const TIMEOUT_MS = 6_000;

export async function getApi() {
  if (CONFIG.enable_credential_authentication === false) return { credentials: null };
  let credentials = sessionStorage.getItem(STORED);
  for (;;) {
    credentials ??= await askCredentials();
    const api = { credentials };
    if (await authenticate(api)) {
      sessionStorage.setItem(STORED, credentials);
      return api;
    }
    sessionStorage.removeItem(STORED);
    credentials = null;
  }
}

async function authenticate(api) {
  const { status } = await request(api, "/authenticate");
  return status !== 401;
}

/** @returns the response's JSON; undefined for an empty one */
export async function callApi(api, path, options) {
  const response = await checked(api, path, options);
  const text = await response.text();
  return text === "" ? undefined : JSON.parse(text);
}

export async function fetchImage(api, path) {
  return URL.createObjectURL(await (await checked(api, path)).blob());
}

async function checked(api, path, options) {
  const response = await request(api, path, options);
  if (!response.ok) throw new Error(`${options?.method ?? "GET"} ${path}: ${response.status}`);
  return response;
}

function request({ credentials }, path, { method = "GET", body } = {}) {
  return fetch(buildUrl(`/api${path}`), {
    method,
    headers: {
      ...(credentials !== null && { Authorization: `Bearer ${credentials}` }),
      ...(body !== undefined && { "Content-Type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
}
