/** Calls of the API: by cookie or by what a proxy adds. Without a user the page is loaded again, for the login. */
import { buildUrl } from "./config_.js";

const TIMEOUT_MS = 12_000;

export async function callApi(path) {
  return (await request(path)).json();
}

export async function fetchImage(path) {
  return URL.createObjectURL(await (await request(path)).blob());
}

/** Objects of a response with one a line, as they come. */
export async function* callLines(path) {
  const { body } = await request(path);
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function request(path) {
  const response = await fetch(buildUrl(`/api${path}`), {
    credentials: "include",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status === 401) globalThis.location.reload();
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}
