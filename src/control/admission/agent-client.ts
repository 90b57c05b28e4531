/** HTTP requests to an agent's own routes, through its tunnel connection. */
import type { ClientHttp2Session } from "node:http2";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { parseBoundedJson } from "../../wire/messages/bounded-json.ts";
import { MAX_CONTROL_BODY_BYTES } from "../../wire/limits.ts";
import { AGENT_AUTHORITY, AGENT_PATHS, HEADER } from "../../wire/protocol.ts";
import { readBody } from "../../wire/streams/read-body.ts";
import { hasRemoteEnded, watchRemoteEnd } from "../../wire/streams/remote-end.ts";
import { onResponse } from "../../wire/streams/response.ts";
import type { ResponseHeaders } from "../../wire/streams/response.ts";
import { VERSION } from "../../wire/version.ts";
import { AGENT_REQUEST_TIMEOUT_MS } from "../limits.ts";

/** @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol` */
export async function getAgentJson(http2Session: ClientHttp2Session, path: string): Promise<unknown> {
  const { content } = await request(http2Session, "GET", path, [200]);
  return parseJson(content, path);
}

/**
 * The agent's description of itself; or, of one that only checks the way, the runners that it would register.
 *
 * @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol`
 */
export async function getHello(
  http2Session: ClientHttp2Session,
  fields: Record<string, string>,
): Promise<{ hello: unknown } | { checked: string[] }> {
  const path = AGENT_PATHS.hello;
  const { headers, content } = await request(http2Session, "GET", path, [200, 204], { fields });
  if (headers[":status"] === 200) return { hello: parseJson(content, path) };
  const { [HEADER.check]: runners } = headers;
  if (typeof runners !== "string")
    throw new TurnaboutError("tunnel_protocol", `agent GET ${path}: status 204`);
  return { checked: runners.split(",").flatMap((id) => id.trim() || []) };
}

function parseJson(content: Buffer, path: string): unknown {
  try {
    return parseBoundedJson(content.toString("utf8"));
  } catch (cause) {
    throw new TurnaboutError("tunnel_protocol", `agent GET ${path}: not JSON`, { cause });
  }
}

/** @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol` */
export async function getAgent(http2Session: ClientHttp2Session, path: string): Promise<Buffer> {
  return (await request(http2Session, "GET", path, [200])).content;
}

/** @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol` */
export async function postAgentJson(
  http2Session: ClientHttp2Session,
  path: string,
  value: unknown,
): Promise<void> {
  await request(http2Session, "POST", path, [204], { body: Buffer.from(JSON.stringify(value)) });
}

async function request(
  http2Session: ClientHttp2Session,
  method: "GET" | "POST",
  path: string,
  expected: readonly number[],
  { body, fields = {} }: { body?: Buffer; fields?: Record<string, string> } = {},
): Promise<{ headers: ResponseHeaders; content: Buffer }> {
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
    const response = Promise.withResolvers<ResponseHeaders>();
    onResponse(stream, {
      response: response.resolve,
      lost: (cause) => response.reject(new TurnaboutError("tunnel_protocol", `${what}: closed`, { cause })),
    });
    const [headers, content] = await Promise.all([
      response.promise,
      readBody(stream, MAX_CONTROL_BODY_BYTES, what),
    ]);
    if (hasRemoteEnded(stream) !== true)
      throw new TurnaboutError("tunnel_protocol", `${what}: the response is incomplete`);
    const { ":status": status = 0 } = headers;
    if (!expected.includes(status)) throw new TurnaboutError("tunnel_protocol", `${what}: status ${status}`);
    return { headers, content };
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
