/** GET on an agent's own routes. */
import type { ClientHttp2Session } from "node:http2";
import { toError, TurnaboutError } from "../wire/errors.ts";
import { MAX_CONTROL_BODY_BYTES } from "../wire/limits.ts";
import { AGENT_AUTHORITY, HEADER } from "../wire/protocol.ts";
import { readBody } from "../wire/read-body.ts";
import { VERSION } from "../wire/version.ts";
import { AGENT_REQUEST_TIMEOUT_MS } from "./limits.ts";

/** @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol` */
export async function getAgentJson(session: ClientHttp2Session, path: string): Promise<unknown> {
  const body = await getAgent(session, path);
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch (cause) {
    throw new TurnaboutError("tunnel_protocol", `agent GET ${path}: not JSON`, { cause });
  }
}

/** @throws TurnaboutError `tunnel_timeout`, `tunnel_protocol` */
export async function getAgent(session: ClientHttp2Session, path: string): Promise<Buffer> {
  const stream = session.request({
    ":method": "GET",
    ":path": path,
    ":scheme": "http",
    ":authority": AGENT_AUTHORITY,
    [HEADER.version]: VERSION,
  });
  stream.on("error", () => {}); // for ever
  const timer = setTimeout(() => {
    stream.destroy(
      new TurnaboutError(
        "tunnel_timeout",
        `agent GET ${path}: no answer within ${AGENT_REQUEST_TIMEOUT_MS} ms`,
      ),
    );
  }, AGENT_REQUEST_TIMEOUT_MS);
  try {
    const status = Promise.withResolvers<number>();
    stream.once("response", (headers) => status.resolve(headers[":status"] ?? 0));
    stream.once("close", () =>
      status.reject(new TurnaboutError("tunnel_protocol", `agent GET ${path}: closed`)),
    );
    const [code, body] = await Promise.all([
      status.promise,
      readBody(stream, MAX_CONTROL_BODY_BYTES, `agent GET ${path}`),
    ]);
    if (code !== 200) throw new TurnaboutError("tunnel_protocol", `agent GET ${path}: status ${code}`);
    return body;
  } catch (cause) {
    if (cause instanceof TurnaboutError) throw cause;
    throw new TurnaboutError("tunnel_protocol", `agent GET ${path}: ${toError(cause).message}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}
