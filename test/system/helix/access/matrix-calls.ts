/** Calls of the authorization matrix: a request of each kind, and whether it was refused. */
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { WEBSOCKET_SUBPROTOCOL } from "../../../../src/wire/protocol.ts";
import { next, within } from "../../../support/events.ts";
import { openSocket, SOCKET_KINDS } from "../moonlight-stand.ts";
import type { SocketKind } from "../moonlight-stand.ts";
import type { SessionView } from "../sessions-stand.ts";

/** `ok` for what was done or passed on to a target; else the status of our refusal. */
export type Outcome = string;

export type Call = (url: string, token: string | null) => Promise<Outcome>;

/** A path, or how to make one that can be used once. */
type Path = string | (() => string | Promise<string>);

async function pathOf(path: Path): Promise<string> {
  return typeof path === "string" ? path : path();
}

/** Our refusals have one; a response of a target has none. */
const OURS = "proxy-status";

export function get(path: string): Call {
  return send("GET", path);
}

export function send(method: string, path: Path, json?: object): Call {
  return async (url, token) => outcome(url, method, await pathOf(path), token, json);
}

export async function outcome(
  url: string,
  method: string,
  path: string,
  token: string | null,
  json?: object,
  fields: Record<string, string> = {},
): Promise<Outcome> {
  const body = json === undefined ? undefined : JSON.stringify(json);
  const request = http.request(`${url}${path}`, {
    agent: false,
    method,
    headers: {
      ...bearer(token),
      ...fields,
      ...(body !== undefined && {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
      }),
    },
  });
  request.end(body);
  const [response] = await next<[http.IncomingMessage]>(request, "response");
  response.on("error", () => {}); // permanently
  response.destroy(); // some have no end
  return judge(response.statusCode ?? 0, response.headers[OURS]);
}

/** The token is in the body. */
export function signIn(url: string, token: string | null): Promise<Outcome> {
  return outcome(url, "POST", "/api/v1/sign-in", null, token === null ? {} : { token }, { origin: url });
}

function judge(status: number, ours: unknown): Outcome {
  return ours === undefined ? "ok" : String(status);
}

function bearer(token: string | null, name = "authorization"): Record<string, string> {
  return token === null ? {} : { [name]: `Bearer ${token}` };
}

/** A WebSocket over each HTTP version, with the token in a field and in the query: all have to agree. */
export function socket(path: Path): Call {
  return async (url, token) => {
    const outcomes = new Set<Outcome>();
    const open = async (kind: SocketKind, query: boolean): Promise<void> => {
      const plain = await pathOf(path);
      const mark = plain.includes("?") ? "&" : "?";
      const withToken = query && token !== null ? `${plain}${mark}access_token=${token}` : plain;
      await using one = await openSocket(kind, url, withToken, query ? {} : { token });
      outcomes.add(judge(one.status, one.headers[OURS]));
    };
    for (const kind of SOCKET_KINDS) for (const query of [true, false]) await open(kind, query);
    return [...outcomes].join("/");
  };
}

export function absolute(session: SessionView, target = "screenshot"): Call {
  return async (url, token) => {
    const request = http.request({
      host: "127.0.0.1",
      port: new URL(url).port,
      agent: false,
      path: `http://${target}.${session.runner}/x`,
      headers: bearer(token, "proxy-authorization"),
    });
    request.end();
    const [response] = await next<[http.IncomingMessage]>(request, "response");
    response.resume();
    await next(response, "close");
    return judge(response.statusCode ?? 0, response.headers[OURS]);
  };
}

export function connectByLine(session: SessionView, target = "screenshot"): Call {
  return async (url, token) => {
    const request = http.request({
      host: "127.0.0.1",
      port: new URL(url).port,
      agent: false,
      method: "CONNECT",
      path: `${target}.${session.runner}:80`,
      headers: bearer(token, "proxy-authorization"),
    });
    request.end();
    const [response, stream] = await next<[http.IncomingMessage, net.Socket]>(request, "connect");
    stream.destroy();
    return judge(response.statusCode ?? 0, response.headers[OURS]);
  };
}

export function connectByStream(session: SessionView, protocol?: string, target = "screenshot"): Call {
  return async (url, token) => {
    const connection = http2.connect(url);
    await next(connection, "remoteSettings");
    const stream = connection.request({
      ":method": "CONNECT",
      ":authority": `${target}.${session.runner}`,
      ...(protocol !== undefined && {
        ":protocol": protocol,
        ":scheme": "http",
        ":path": "/x",
        "sec-websocket-version": "13",
      }),
      ...bearer(token, "proxy-authorization"),
    });
    stream.on("error", () => {}); // permanently
    const [headers] = await next<[http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader]>(
      stream,
      "response",
    );
    const closed = next(connection, "close");
    connection.destroy();
    await closed;
    return judge(headers[":status"] ?? 0, headers[OURS]);
  };
}

/** Only the handshake of an agent, by both upgrades. */
export function endpoint(runner: () => string | Promise<string>, path = "/api/v1/revdial"): Call {
  return async (url, token) => {
    const outcomes = new Set<Outcome>();
    for (const upgrade of ["ptth", "websocket"]) {
      const request = http.request(`${url}${path}?runnerid=${await runner()}`, {
        agent: false,
        headers: {
          connection: "Upgrade",
          upgrade,
          alpn: "h2",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          "sec-websocket-version": "13",
          "sec-websocket-protocol": WEBSOCKET_SUBPROTOCOL,
          ...bearer(token),
        },
      });
      const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
      request.on("upgrade", (_response, upgraded) => {
        upgraded.destroy();
        resolve("ok");
      });
      request.on("response", (response) => {
        response.resume();
        resolve(String(response.statusCode));
      });
      request.on("error", reject);
      request.end();
      outcomes.add(await within(promise, "the agent endpoint's response"));
    }
    return [...outcomes].join("/");
  };
}
