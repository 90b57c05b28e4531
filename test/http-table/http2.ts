/** Features of targets that speak HTTP/2, gRPC among them, called over HTTP/2. */
import { once } from "node:events";
import http2 from "node:http2";
import type { ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import { within } from "../support/events.ts";
import type { Http2TestTarget } from "../support/target.ts";
import type { Column } from "./reverse-proxies.ts";

const {
  NGHTTP2_CANCEL,
  NGHTTP2_FLAG_END_STREAM,
  NGHTTP2_INTERNAL_ERROR,
  NGHTTP2_NO_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = http2.constants;

export interface Http2Proxy {
  readonly column: Column;
  readonly port: number;
  readonly target: Http2TestTarget & { readonly behaviour: { onStream: OnStream } };
  readonly prefix: string;
  readonly own: readonly (readonly [string, string])[];
}

export type OnStream = (stream: ServerHttp2Stream, raw: readonly string[]) => void;

export interface Http2Feature {
  name: string;
  rfc: string;
  cell(proxy: Http2Proxy): Promise<string>;
  why?: string;
}

const TIMEOUT_MS = 3_000;

/** On a connection of its own: some proxies end it for what they cannot pass on. */
function open(proxy: Http2Proxy, onStream: OnStream, trailers?: Record<string, string>): ClientHttp2Stream {
  proxy.target.behaviour.onStream = onStream;
  const list = [
    ":method",
    "POST",
    ":scheme",
    "http",
    ":authority",
    "proxy.example",
    ":path",
    `${proxy.prefix}/s.S/M`,
  ];
  for (const [name, value] of proxy.own) list.push(name, value);
  list.push("content-type", "application/grpc", "te", "trailers");
  const session = http2.connect(`http://127.0.0.1:${proxy.port}`);
  session.on("error", () => {}); // permanent
  const stream = session.request(list, { waitForTrailers: trailers !== undefined });
  stream.on("error", () => {}); // permanent
  stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? {}));
  stream.once("close", () => session.close());
  return stream;
}

interface End {
  status: number;
  body: string;
  trailers: readonly string[];
  isHeaderOnly: boolean;
  code: number;
}

async function endOf(stream: ClientHttp2Stream): Promise<End> {
  const end: End = { status: 0, body: "", trailers: [], isHeaderOnly: false, code: NGHTTP2_NO_ERROR };
  stream.on("response", ({ ":status": status = 0 }, flags) => {
    end.status = status;
    end.isHeaderOnly = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
  });
  stream.on("trailers", (_fields, _flags, raw) => (end.trailers = raw));
  stream.on("data", (chunk: Buffer) => (end.body += String(chunk)));
  try {
    await within(
      once(stream, "close").catch(() => {}),
      "the end of a stream",
      TIMEOUT_MS,
    );
  } catch {
    stream.close(NGHTTP2_CANCEL);
  }
  end.code = stream.rstCode;
  return end;
}

function how({ status, code }: End): string {
  return code === NGHTTP2_NO_ERROR ? `${status}` : `reset with ${CODES[code] ?? code}`;
}

const CODES: Readonly<Record<number, string>> = {
  [NGHTTP2_CANCEL]: "CANCEL",
  [NGHTTP2_INTERNAL_ERROR]: "INTERNAL_ERROR",
  [NGHTTP2_REFUSED_STREAM]: "REFUSED_STREAM",
  1: "PROTOCOL_ERROR",
};

function respond(stream: ServerHttp2Stream): void {
  if (stream.destroyed) return; // the caller has reset it meanwhile
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end("ok");
}

/** The target resets after a part of its response. */
function resetInBody(code: number): Http2Feature["cell"] {
  return async (proxy) => {
    const stream = open(proxy, (target) => {
      target.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      target.write("part", () => setImmediate(() => target.close(code)));
    });
    return how(await endOf(stream));
  };
}

export const HTTP2_TARGETS: readonly Http2Feature[] = [
  {
    name: "unary gRPC: response with trailers",
    rfc: "9113 §8.1",
    cell: async (proxy) => {
      const stream = open(proxy, (target) => target.resume().once("end", () => respond(target)));
      stream.end("request");
      const end = await endOf(stream);
      return end.trailers.includes("grpc-status") && end.body === "ok" ? "passes" : how(end);
    },
  },
  {
    name: "response of trailers only: one HEADERS with END_STREAM",
    rfc: "gRPC over HTTP/2",
    cell: async (proxy) => {
      const stream = open(proxy, (target) => {
        target.respond(
          { ":status": 200, "content-type": "application/grpc", "grpc-status": "5" },
          { endStream: true },
        );
      });
      stream.end("request");
      const end = await endOf(stream);
      return end.isHeaderOnly ? "passes" : "header, then an empty end";
    },
  },
  {
    name: "trailers of the request",
    rfc: "9113 §8.1",
    cell: async (proxy) => {
      let seen = false;
      const stream = open(
        proxy,
        (target) => {
          target.once("trailers", ({ "x-sum": sum }) => (seen = sum === "7"));
          target.resume().once("end", () => setImmediate(() => respond(target)));
        },
        { "x-sum": "7" },
      );
      stream.end("request");
      await endOf(stream);
      return seen ? "pass" : "dropped";
    },
    why: "HTTP/2 has them, and nothing stands between (RFC 9110 §6.5.1).",
  },
  {
    name: "`TE: trailers`",
    rfc: "9113 §8.2.2",
    cell: async (proxy) => {
      let seen = false;
      const stream = open(proxy, (target, raw) => {
        seen = raw.includes("te");
        respond(target.resume());
      });
      stream.end("request");
      await endOf(stream);
      return seen ? "passes" : "dropped";
    },
  },
  {
    name: "both directions at once (bidirectional streaming)",
    rfc: "9113 §8.1",
    cell: async (proxy) => {
      const stream = open(proxy, (target) => {
        target.respond({ ":status": 200, "content-type": "application/grpc" });
        target.pipe(target);
      });
      const first = once(stream, "data");
      stream.write("ping");
      let cell = "waits for the request's end";
      try {
        await within(first, "the echo", 1_500);
        cell = "passes";
      } catch {
        // What it says already.
      }
      const end = endOf(stream);
      stream.end();
      await end;
      return cell;
    },
  },
  {
    name: "caller's CANCEL at the target",
    rfc: "9113 §8.7",
    cell: async (proxy) => {
      const ended = Promise.withResolvers<number>();
      const stream = open(proxy, (target) => {
        target.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        target.write("part");
        target.resume().once("close", () => ended.resolve(target.rstCode));
      });
      await within(once(stream, "data"), "a part of the response", TIMEOUT_MS);
      stream.close(NGHTTP2_CANCEL);
      const code = await within(ended.promise, "the target's reset", TIMEOUT_MS);
      return CODES[code] ?? `${code}`;
    },
  },
  { name: "target's CANCEL in the middle of a response", rfc: "9113 §7", cell: resetInBody(NGHTTP2_CANCEL) },
  {
    name: "target's INTERNAL_ERROR in the middle of a response",
    rfc: "9113 §7",
    cell: resetInBody(NGHTTP2_INTERNAL_ERROR),
  },
  {
    name: "target's REFUSED_STREAM, once",
    rfc: "9113 §8.7",
    cell: async (proxy) => {
      let isFirst = true;
      const stream = open(proxy, (target) => {
        if (isFirst) target.close(NGHTTP2_REFUSED_STREAM);
        else respond(target.resume());
        isFirst = false;
      });
      stream.end("request");
      const end = await endOf(stream);
      return end.body === "ok" ? "sent again" : how(end);
    },
    why: "RFC 9113 §8.7: such a request has not been processed, and may be sent again, whatever its method.",
  },
  {
    name: "target's CANCEL before a response",
    rfc: "9113 §7",
    cell: async (proxy) => {
      const stream = open(proxy, (target) => target.close(NGHTTP2_CANCEL));
      stream.end("request");
      return how(await endOf(stream));
    },
    why: "gRPC only, which maps the code to a status; any other caller gets 502.",
  },
  {
    name: "request behind the target's GOAWAY",
    rfc: "9113 §6.8",
    cell: async (proxy) => {
      for (const session of proxy.target.sessions) session.close();
      const stream = open(proxy, (target) => respond(target.resume()));
      stream.end("request");
      const end = await endOf(stream);
      return end.body === "ok" ? "takes a new connection" : how(end);
    },
  },
];
