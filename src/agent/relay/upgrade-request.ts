/** Sends one upgrade request to the control plane for an agent behind the relay. */
import http from "node:http";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { isHopByHop } from "../../wire/fields/http-fields.ts";
import { MAX_RELAY_HEADER_BYTES, MAX_RELAY_REFUSAL_BYTES } from "../limits.ts";
import { limitInformational } from "../transport/informational.ts";

export type UpstreamResponse =
  /** 101: `head` is its header as it came, `stream` begins with the first byte behind it. */
  | { kind: "switched"; head: Buffer; stream: Duplex }
  /** Any other response, whole. */
  | { kind: "refused"; status: number; bytes: Buffer };

/**
 * @param fields names and values, alternating
 * @throws TurnaboutError `carrier_failed`: an intermediary has dropped the upgrade
 */
export async function requestUpgrade(
  transport: Duplex,
  path: string,
  fields: string[],
  signal: AbortSignal,
): Promise<UpstreamResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<UpstreamResponse>();
  const fail = (what: string, cause?: unknown) =>
    reject(new TurnaboutError("carrier_failed", `relay: ${what}`, { cause }));
  const request = http.request({
    createConnection: () => transport,
    method: "GET",
    path,
    headers: fields,
    maxHeaderSize: MAX_RELAY_HEADER_BYTES,
  });
  limitInformational(request);
  request.on("upgrade", (response, socket, head) => {
    socket.on("error", () => {}); // permanently
    if (head.length > 0) socket.unshift(head);
    resolve({ kind: "switched", head: rawHead(response, response.rawHeaders), stream: socket });
  });
  request.on("response", (response) => {
    void readRefusal(response).then(resolve, (error: unknown) => fail(toError(error).message, error));
  });
  request.on("error", (cause) => {
    fail(signal.aborted ? "no response to the upgrade in time" : cause.message, cause);
  });
  // Not the `signal` option of http.request: it must not reach the socket once it is upgraded.
  const onAbort = () => request.destroy(toError(signal.reason));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  request.end();
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** As it came, with a Content-Length and `Connection: close` for its framing. */
async function readRefusal(response: IncomingMessage): Promise<UpstreamResponse> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= MAX_RELAY_REFUSAL_BYTES) break;
  }
  const body = Buffer.concat(chunks).subarray(0, MAX_RELAY_REFUSAL_BYTES);
  const fields: string[] = [];
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) {
    const [field = "", value = ""] = response.rawHeaders.slice(i, i + 2);
    const name = field.toLowerCase();
    if (!isHopByHop(name) && name !== "content-length") fields.push(field, value);
  }
  // A 426 names the protocol that it requires; all other fields of the hop are ours.
  if (response.headers.upgrade !== undefined) fields.push("Upgrade", response.headers.upgrade);
  fields.push("Content-Length", String(body.length), "Connection", "close");
  const status = response.statusCode ?? 502;
  return { kind: "refused", status, bytes: Buffer.concat([rawHead(response, fields), body]) };
}

function rawHead(response: IncomingMessage, fields: readonly string[]): Buffer {
  let text = `HTTP/1.1 ${response.statusCode} ${response.statusMessage}\r\n`;
  for (let i = 0; i + 1 < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return Buffer.from(`${text}\r\n`, "latin1");
}
