/** HTTP requests to an agent's own routes, through its tunnel connection. */
import type { ClientHttp2Session } from "node:http2";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { parseBoundedJson } from "../../wire/messages/bounded-json.ts";
import { MAX_CONTROL_BODY_BYTES } from "../../wire/limits.ts";
import { AGENT_AUTHORITY, HEADER } from "../../wire/protocol.ts";
import { readBody } from "../../wire/streams/read-body.ts";
import { hasRemoteEnded, watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { onResponse } from "../../wire/streams/response.ts";
import { VERSION } from "../../wire/version.ts";
import { AGENT_REQUEST_TIMEOUT_MS } from "../limits.ts";

/** @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol` */
export async function getAgentJson(
  http2Session: ClientHttp2Session,
  path: string,
  fields: Record<string, string> = {},
): Promise<unknown> {
  const body = await request(http2Session, "GET", path, 200, { fields });
  try {
    return parseBoundedJson(body.toString("utf8"));
  } catch (cause) {
    throw new TurnaboutError("tunnel_protocol", `agent GET ${path}: not JSON`, { cause });
  }
}

/** @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol` */
export async function getAgent(http2Session: ClientHttp2Session, path: string): Promise<Buffer> {
  return request(http2Session, "GET", path, 200);
}

/** @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol` */
export async function postAgentJson(
  http2Session: ClientHttp2Session,
  path: string,
  value: unknown,
): Promise<void> {
  await request(http2Session, "POST", path, 204, { body: Buffer.from(JSON.stringify(value)) });
}

async function request(
  http2Session: ClientHttp2Session,
  method: "GET" | "POST",
  path: string,
  expected: number,
  { body, fields = {} }: { body?: Buffer; fields?: Record<string, string> } = {},
): Promise<Buffer> {
  const what = `agent ${method} ${path}`;
  const stream = http2Session.request(
    {
      ":method": method,
      ":path": path,
      ":scheme": "http",
      ":authority": AGENT_AUTHORITY,
      [HEADER.version]: VERSION,
      ...fields,
      ...(body !== undefined && { "content-type": "application/json", "content-length": body.length }),
    },
    { endStream: body === undefined },
  );
  watchRemoteEnd(stream);
  stream.on("error", () => {}); // permanently
  if (body !== undefined) stream.end(body);
  const timer = setTimeout(() => {
    resetStream(
      stream,
      new TurnaboutError("tunnel_timeout", `${what}: no response within ${AGENT_REQUEST_TIMEOUT_MS} ms`),
    );
  }, AGENT_REQUEST_TIMEOUT_MS);
  try {
    const status = Promise.withResolvers<number>();
    onResponse(stream, {
      response: (headers) => status.resolve(headers[":status"] ?? 0),
      lost: (cause) => status.reject(new TurnaboutError("tunnel_protocol", `${what}: closed`, { cause })),
    });
    const [code, content] = await Promise.all([
      status.promise,
      readBody(stream, MAX_CONTROL_BODY_BYTES, what),
    ]);
    if (hasRemoteEnded(stream) !== true)
      throw new TurnaboutError("tunnel_protocol", `${what}: the response is incomplete`);
    if (code !== expected) throw new TurnaboutError("tunnel_protocol", `${what}: status ${code}`);
    return content;
  } catch (cause) {
    const error =
      cause instanceof TurnaboutError
        ? cause
        : new TurnaboutError("tunnel_protocol", `${what}: ${toError(cause).message}`, { cause });
    resetStream(stream, error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
