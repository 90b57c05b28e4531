/** Features of connections: what streams, what is reused, what is tried again, and who learns of a loss. */
import http from "node:http";
import { WebSocket } from "ws";
import { next, within } from "../support/events.ts";
import { field } from "./exchange.ts";
import { ended, http1, OK_RESPONSE, passes, withoutBearer } from "./features.ts";
import type { Feature } from "./features.ts";
import type { ReverseProxy } from "./reverse-proxies.ts";
import { acceptKey, fieldOf } from "./target.ts";
import type { Seen } from "./target.ts";

async function until(check: () => boolean, turns = 200): Promise<boolean> {
  for (let turn = 0; turn < turns; turn += 1) {
    if (check()) return true;
    await new Promise((resolve) => void setTimeout(resolve, 5));
  }
  return check();
}

/** Handshake of RFC 6455, then whatever comes goes back as it is. */
function websocket(protocol: string | undefined): (seen: Seen) => void {
  return ({ head, socket }) => {
    const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? "";
    const chosen = protocol === undefined ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(key)}\r\n${chosen}\r\n`,
    );
    // An unmasked frame, as a server sends it.
    socket.write(Buffer.from([0x82, 3, 0, 0xff, 0x7f]));
  };
}

function upgrade(proxy: ReverseProxy, protocol: string): string {
  return `${proxy.head("GET", "/")}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
}

/** Two requests, the first of which leaves a connection that the target closes when the second comes. */
function deadKeepAlive(method: string): Feature["cell"] {
  return async (proxy) => {
    const body = method === "POST" ? { body: "x" } : {};
    await proxy.call({ method, ...body }, OK_RESPONSE);
    let isFirst = true;
    const { response } = await proxy.call({ method, ...body }, (seen) => {
      if (isFirst) seen.socket.destroy();
      else seen.socket.write(OK_RESPONSE);
      isFirst = false;
    });
    return response.status === 200 ? "sent again" : ended(response);
  };
}

export const CONNECTIONS: readonly Feature[] = [
  {
    name: "server-sent events: the first before there is a second",
    rfc: "WHATWG HTML",
    cell: async (proxy) => {
      let seen: Seen | undefined;
      const { response } = await proxy.call(
        {
          onBytes: (_leave, text) => {
            if (text.includes("one")) seen?.socket.end("data: two\n\n");
          },
        },
        (request) => {
          seen = request;
          request.socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n");
        },
      );
      return response.body.includes("one") && response.body.includes("two")
        ? "streams"
        : `buffered: ${ended(response)}`;
    },
  },
  {
    name: "response header before any of its content",
    rfc: "9112 §7",
    cell: async (proxy) => {
      let seen: Seen | undefined;
      const { response } = await proxy.call(
        {
          onBytes: () => {
            seen?.socket.write("2\r\nok\r\n0\r\n\r\n");
            seen = undefined;
          },
        },
        (request) => {
          seen = request;
          request.socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        },
      );
      return passes(response);
    },
  },
  {
    name: "response before the request's body has come (413)",
    rfc: "9110 §10.1.1",
    cell: http1(async (proxy) => {
      const { response } = await proxy.send(
        `${proxy.head("POST", "/")}Content-Length: 100000\r\n\r\nsome`,
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "POST",
        true,
      );
      return passes(response, 413);
    }),
    why: "The sender of a large upload should learn early that it is not wanted.",
  },
  {
    name: "caller leaves before the response: the target learns it",
    rfc: "9112 §9.5",
    cell: async (proxy) => {
      let seen: Seen | undefined;
      await proxy.call({ onBytes: (leave) => leave() }, (request) => {
        seen = request;
        request.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
      });
      return (await until(() => seen?.isGone === true)) ? "at once" : "not within 1 s";
    },
  },
  {
    name: "second request on the same connection to the target",
    rfc: "9112 §9.3",
    cell: async (proxy) => {
      const { seen: first } = await proxy.call({}, OK_RESPONSE);
      const { seen: second } = await proxy.call({}, OK_RESPONSE);
      return first?.connection === second?.connection ? "reused" : "a new one";
    },
  },
  {
    name: "GET on a kept connection that the target then closes",
    rfc: "9110 §9.2.2",
    cell: deadKeepAlive("GET"),
  },
  {
    name: "POST on a kept connection that the target then closes",
    rfc: "9110 §9.2.2",
    cell: deadKeepAlive("POST"),
  },
  {
    name: "login bound to a connection (NTLM): the next caller",
    rfc: "4559 §6",
    cell: http1(async (proxy) => {
      const head = withoutBearer(proxy.head("GET", "/"));
      const first = await proxy.send(`${head}Authorization: NTLM TlRMTVNTUAABAAAA\r\n\r\n`, OK_RESPONSE);
      const second = await proxy.call({}, OK_RESPONSE);
      const isShared = first.seen?.connection === second.seen?.connection;
      return isShared ? "gets the connection that was logged in" : "gets a connection of its own";
    }),
    why: "RFC 4559 §6 asks proxies for it.",
  },
  {
    name: "WebSocket: sub-protocol, frames as bytes",
    rfc: "6455",
    cell: http1(async (proxy) => {
      proxy.target.expect(websocket("chat"));
      const headers = Object.fromEntries(
        proxy
          .head("GET", "/")
          .split("\r\n")
          .slice(1, -1)
          .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
      );
      const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`, ["chat"], {
        headers,
        perMessageDeflate: false,
        createConnection: undefined,
        finishRequest: (request: http.ClientRequest) => {
          request.path = proxy.at("/");
          request.end();
        },
      });
      socket.on("error", () => {});
      try {
        const [message] = await within(next<[Buffer]>(socket, "message", 3_000), "a message");
        return socket.protocol === "chat" && message.equals(Buffer.from([0, 0xff, 0x7f]))
          ? "passes"
          : "changed";
      } catch {
        return "fails";
      } finally {
        socket.terminate();
      }
    }),
  },
  {
    name: "WebSocket that the target refuses (403)",
    rfc: "6455 §4.2.2",
    cell: http1(async (proxy) => {
      const { response } = await proxy.send(
        `${proxy.head("GET", "/")}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
        "HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 2\r\n\r\nok",
      );
      return field(response, "x-why") === "no" ? passes(response, 403) : ended(response);
    }),
  },
  {
    name: "WebSocket to which the target responds with 200",
    rfc: "9110 §7.8",
    cell: http1(async (proxy) => {
      const { response } = await proxy.send(
        `${proxy.head("GET", "/")}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
        OK_RESPONSE,
      );
      return passes(response);
    }),
    why: "On HTTP/2 a 2xx would mean that the WebSocket is open (RFC 8441 §5): 502 there.",
  },
  {
    name: "upgrade to another protocol",
    rfc: "9110 §7.8",
    cell: http1(async (proxy) => {
      const { response } = await proxy.send(upgrade(proxy, "other"), (seen) => {
        const isAsked = fieldOf(seen, "upgrade") === "other";
        const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n";
        seen.socket.write(isAsked ? switching : OK_RESPONSE);
      });
      return response.status === 101 ? "passes" : `the target gets no request: ${ended(response)}`;
    }),
    why: "Only WebSockets cross as upgrades, because they alone have a form in HTTP/2 (RFC 8441). `CONNECT` carries everything else.",
  },
  {
    name: "`Upgrade: h2c` (`curl --http2`)",
    rfc: "9113 §3.1",
    cell: http1(async (proxy) => {
      const bytes = `${proxy.head("GET", "/")}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`;
      const { response, seen } = await proxy.send(bytes, OK_RESPONSE);
      return `${passes(response)}; the field ${fieldOf(seen, "upgrade") === undefined ? "is dropped" : "passes"}`;
    }),
    why: "A field of one hop; RFC 9113 has given it up.",
  },
];
