/** Features of responses. */
import { createHash } from "node:crypto";
import { field } from "./exchange.ts";
import {
  ended,
  http1,
  OK_RESPONSE,
  passes,
  quoted,
  requestLine,
  responseField,
  withFields,
} from "./features.ts";
import type { Feature } from "./features.ts";
import { fieldOf } from "./target.ts";

const ORIGIN =
  "All targets share one origin on the route: what holds for an origin would hold for every other target (decision 019). The forward proxy passes it.";

const ROUTED =
  "It would lead out of the route, or to the caller's own machine. nginx does the same for the address that it knows (decision 025).";

function status(code: number, reason = "Reason"): Feature["cell"] {
  return async (proxy) => {
    const { response } = await proxy.call({}, withFields("", `${code} ${reason}`));
    return passes(response, code);
  };
}

/** A location as a target says it, and what the caller gets. */
function location(name: string, value: (address: string) => string): Feature["cell"] {
  return async (proxy) => {
    const { response } = await proxy.call(
      {},
      withFields(`${name}: ${value(proxy.target.address)}\r\n`, "302 Found"),
    );
    const got = field(response, name.toLowerCase());
    return got === undefined ? "dropped" : quoted(got, proxy);
  };
}

function broken(sent: string, cut: "fin" | "reset"): Feature["cell"] {
  return async (proxy) => {
    const { response } = await proxy.call({}, ({ socket }) => {
      socket.write(sent, "latin1", () => {
        if (cut === "fin") socket.end();
        else socket.resetAndDestroy();
      });
    });
    return response.end === "complete" && response.status === 200 ? "looks complete" : ended(response);
  };
}

export const RESPONSES: readonly Feature[] = [
  { name: "status 299", rfc: "9110 §15", cell: status(299) },
  { name: "status 418", rfc: "9110 §15", cell: status(418) },
  { name: "status 599", rfc: "9110 §15", cell: status(599) },
  {
    name: "status 999",
    rfc: "9110 §15",
    cell: status(999),
    why: "HTTP/2 in node sends no status above 599; RFC 9110 has none. 502 with the reason.",
  },
  {
    name: "reason phrase of its own",
    rfc: "9112 §4",
    cell: http1(async (proxy) =>
      (await proxy.call({}, withFields("", "200 Very Fine"))).response.reason === "Very Fine"
        ? "passes"
        : "the usual one",
    ),
  },
  {
    name: "unexpected 100",
    rfc: "9110 §15.2",
    cell: async (proxy) =>
      passes((await proxy.call({}, `HTTP/1.1 100 Continue\r\n\r\n${OK_RESPONSE}`)).response),
  },
  {
    name: "103 with `Connection: close`: the final response",
    rfc: "9110 §15.2",
    cell: async (proxy) => {
      const { response } = await proxy.call(
        {},
        `HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n${OK_RESPONSE}`,
      );
      return passes(response);
    },
  },
  {
    name: "103 with `Link`",
    rfc: "8297",
    cell: async (proxy) => {
      const { response } = await proxy.call(
        {},
        `HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n${OK_RESPONSE}`,
      );
      const hint = response.informational.includes(103) ? "passes" : "dropped";
      return passes(response) === "passes" ? hint : passes(response);
    },
  },
  {
    name: "204 with a Content-Length",
    rfc: "9110 §8.6",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
      if (response.status !== 204 || response.end !== "complete") return ended(response);
      return field(response, "content-length") === undefined ? "204 without it" : "204 with it";
    },
  },
  {
    name: "205 with content",
    rfc: "9110 §15.3.6",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, withFields("", "205 Reset Content"));
      if (response.status !== 205 || response.end !== "complete") return ended(response);
      return response.body === "" ? "205 without it" : "205 with it";
    },
    why: "RFC 9110 §15.3.6: no content may be sent.",
  },
  {
    name: "304 with a Content-Length and an ETag",
    rfc: "9110 §15.4.5",
    cell: async (proxy) => {
      const { response } = await proxy.call(
        {},
        'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 99\r\n\r\n',
      );
      return response.status === 304 && field(response, "etag") === '"a"' && response.body === ""
        ? "passes"
        : ended(response);
    },
  },
  {
    name: "field twice",
    rfc: "9110 §5.3",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, withFields("X-A: 1\r\nX-A: 2\r\n"));
      return { "1 + 2": "two lines", "1, 2": "one line, `1, 2`" }[field(response, "x-a") ?? ""] ?? "dropped";
    },
  },
  {
    name: "`ETag` twice",
    rfc: "9110 §5.3",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, withFields('ETag: "a"\r\nETag: "b"\r\n'));
      const got = field(response, "etag");
      if (passes(response) !== "passes") return passes(response);
      return got === '"a" + "b"' ? "two lines" : quoted(got ?? "none", proxy);
    },
    why: "Two values of a field that has one are an error of the target's; HTTP/2 in node cannot send them.",
  },
  {
    name: "`Content-Disposition` with bytes above 0x7f",
    rfc: "6266",
    cell: async (proxy) => {
      const { response } = await proxy.call(
        {},
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Disposition: attachment; filename="\xe9\xff"\r\n\r\nok',
      );
      const got = field(response, "content-disposition");
      return got === 'attachment; filename="\xe9\xff"'
        ? "passes"
        : got === undefined
          ? passes(response)
          : quoted(got, proxy);
    },
  },
  {
    name: "`Date` of its own",
    rfc: "9110 §6.6.1",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, withFields("Date: Mon, 01 Jan 2001 00:00:00 GMT\r\n"));
      return field(response, "date")?.includes("2001") === true ? "passes" : "replaced";
    },
  },
  {
    name: "no `Date`",
    rfc: "9110 §6.6.1",
    cell: async (proxy) =>
      field((await proxy.call({}, OK_RESPONSE)).response, "date") === undefined
        ? "stays absent"
        : "one is added",
  },
  {
    name: "`Server`",
    rfc: "9110 §10.2.4",
    cell: async (proxy) => {
      const got = field((await proxy.call({}, withFields("Server: own/1\r\n"))).response, "server");
      return got === "own/1" ? "passes" : "the proxy's";
    },
  },
  {
    name: "`Via` in the response",
    rfc: "9110 §7.6.3",
    cell: async (proxy) => {
      const got = field((await proxy.call({}, OK_RESPONSE)).response, "via");
      return got === undefined ? "none" : quoted(got, proxy);
    },
  },
  {
    name: "`WWW-Authenticate: Basic`",
    rfc: "9110 §11.6.1",
    cell: responseField("WWW-Authenticate", 'Basic realm="x"'),
  },
  {
    name: "`Location` made of the `Host` that the target got",
    rfc: "9110 §10.2.2",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, (seen) => {
        const to = `http://${fieldOf(seen, "host")}/dir/`;
        seen.socket.write(withFields(`Location: ${to}\r\n`, "302 Found"));
      });
      return quoted(field(response, "location") ?? "dropped", proxy);
    },
    why: ROUTED,
  },
  {
    name: "`Location` with the target's own address",
    rfc: "9110 §10.2.2",
    cell: location("Location", (address) => `http://${address}/dir/`),
    why: ROUTED,
  },
  {
    name: "`Location: http://localhost/dir/`",
    rfc: "9110 §10.2.2",
    cell: location("Location", () => "http://localhost/dir/"),
    why: ROUTED,
  },
  {
    name: "`Location: /signin`",
    rfc: "9110 §10.2.2",
    cell: location("Location", () => "/signin"),
    why: ROUTED,
  },
  {
    name: "`Location: https://other.example/`",
    rfc: "9110 §10.2.2",
    cell: location("Location", () => "https://other.example/"),
  },
  {
    name: "`Content-Location: /a`",
    rfc: "9110 §8.7",
    cell: location("Content-Location", () => "/a"),
    why: ROUTED,
  },
  {
    name: "`Refresh: 1; url=/a`",
    rfc: "WHATWG HTML",
    cell: location("Refresh", () => "1; url=/a"),
    why: ROUTED,
  },
  {
    name: "`Set-Cookie` with `Path=/` and a `Domain`",
    rfc: "6265 §5.2",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, withFields("Set-Cookie: a=1; Path=/; Domain=localhost\r\n"));
      const got = field(response, "set-cookie");
      return got === undefined ? "dropped" : quoted(got, proxy);
    },
    why: ORIGIN,
  },
  {
    name: "`Strict-Transport-Security`, `Alt-Svc`",
    rfc: "6797, 7838",
    cell: responseField("Strict-Transport-Security", "max-age=1"),
    why: ORIGIN,
  },
  {
    name: "`Access-Control-Allow-Origin: *`",
    rfc: "WHATWG Fetch",
    cell: responseField("Access-Control-Allow-Origin", "*"),
    why: ORIGIN,
  },
  {
    name: "content that is compressed",
    rfc: "9110 §8.4",
    cell: async (proxy) => {
      const body = "\x1f\x8b\x08\x00\xff";
      const { response } = await proxy.call(
        { fields: [["Accept-Encoding", "gzip"]] },
        `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      return field(response, "content-encoding") === "gzip" ? passes(response, 200, body) : "changed";
    },
  },
  {
    name: "206 with `Content-Range`",
    rfc: "9110 §15.3.7",
    cell: async (proxy) => {
      const { response } = await proxy.call(
        { fields: [["Range", "bytes=0-1"]] },
        withFields("Content-Range: bytes 0-1/9\r\n", "206 Partial Content"),
      );
      return field(response, "content-range") === "bytes 0-1/9" ? passes(response, 206) : "changed";
    },
  },
  {
    name: "header of 40 KiB",
    rfc: "9110 §5.4",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, withFields(`X-Large: ${"x".repeat(40_960)}\r\n`));
      return passes(response);
    },
    why: "Up to 64 KiB.",
  },
  {
    name: "body of 1 MiB",
    rfc: "9110 §6.4",
    cell: async (proxy) => {
      const body = "0123456789abcdef".repeat(65_536);
      const { response } = await proxy.call(
        {},
        `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
      return digest(response.body) === digest(body) && response.end === "complete"
        ? "passes"
        : ended(response);
    },
  },
  {
    name: "chunked body, with a chunk extension",
    rfc: "9112 §7.1.1",
    cell: async (proxy) =>
      passes(
        (
          await proxy.call(
            {},
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n",
          )
        ).response,
      ),
  },
  {
    name: "trailers",
    rfc: "9110 §6.5",
    cell: async (proxy) => {
      const { response } = await proxy.call(
        { fields: [["TE", "trailers"]] },
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
      );
      const got = response.trailers.find(([name]) => name.toLowerCase() === "x-sum");
      return passes(response) === "passes" ? (got === undefined ? "dropped" : "pass") : passes(response);
    },
  },
  {
    name: "body that ends with the connection",
    rfc: "9112 §6.3",
    cell: async (proxy) =>
      passes((await proxy.call({}, ({ socket }) => socket.end("HTTP/1.1 200 OK\r\n\r\nok"))).response),
  },
  {
    name: "`Transfer-Encoding: gzip, chunked`",
    rfc: "9112 §6.1",
    cell: async (proxy) => {
      const coded = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
      const { response } = await proxy.call({}, coded);
      return passes(response);
    },
    why: "Coded bytes are not the representation, and the caller would not learn that they are coded.",
  },
  {
    name: "`Transfer-Encoding: chunked` in HTTP/1.0",
    rfc: "9112 §6.1",
    cell: async (proxy) => {
      const chunked = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
      const { response } = await proxy.call({}, ({ socket }) => socket.end(chunked));
      return passes(response);
    },
    why: "Such framing is faulty (RFC 9112 §6.1), and its content may not look complete.",
  },
  {
    name: "first chunk without a size",
    rfc: "9112 §7.1",
    cell: async (proxy) => {
      const bad = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n";
      const { response } = await proxy.call({}, bad);
      const text = passes(response);
      // Go flushes the header by a timer, at once: it may be before or behind the chunk.
      const isEither = proxy.column === "Go" && (text === "connection closed" || text === "200, broken off");
      return isEither ? "connection closed, before or after 200" : text;
    },
    why: "Nothing has been sent to the caller yet, so it gets a reason.",
  },
  {
    name: "chunked body, cut off by FIN",
    rfc: "9112 §8",
    cell: broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "fin"),
  },
  {
    name: "body of known length, cut off by FIN",
    rfc: "9112 §8",
    cell: broken("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "fin"),
  },
  {
    name: "body that ends with the connection, cut off by a reset",
    rfc: "9112 §8",
    cell: broken("HTTP/1.1 200 OK\r\n\r\nok", "reset"),
  },
  {
    name: "HTTP/1.0 target",
    rfc: "9112 §2.5",
    cell: async (proxy) =>
      passes(
        (await proxy.call({}, ({ socket }) => socket.end("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")))
          .response,
      ),
  },
  {
    name: "target whose lines end with LF only",
    rfc: "9112 §2.2",
    cell: async (proxy) =>
      passes((await proxy.call({}, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok")).response),
  },
  {
    name: "folded field (obs-fold)",
    rfc: "9112 §5.2",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, withFields("X-A: 1\r\n 2\r\n"));
      return passes(response) === "passes"
        ? quoted(field(response, "x-a") ?? "dropped", proxy)
        : passes(response);
    },
  },
  {
    name: "space between field name and colon",
    rfc: "9112 §5.1",
    cell: async (proxy) => {
      const { response } = await proxy.call({}, withFields("X-A : 1\r\n"));
      return passes(response) === "passes"
        ? field(response, "x-a") === undefined
          ? "field dropped"
          : "passes"
        : passes(response);
    },
  },
  {
    name: "not HTTP at all",
    rfc: "9110 §15.6.3",
    cell: async (proxy) =>
      ended((await proxy.call({}, ({ socket }) => socket.end("SSH-2.0-x\r\n\r\n"))).response),
  },
  {
    name: "connection closed without a response",
    rfc: "9110 §15.6.3",
    cell: async (proxy) =>
      ended((await proxy.call({ method: "POST", body: "x" }, ({ socket }) => socket.end())).response),
  },
  {
    name: "request line that reaches the target",
    rfc: "9112 §3",
    cell: async (proxy) => quoted(requestLine((await proxy.call({ path: "/a" }, OK_RESPONSE)).seen), proxy),
  },
  {
    name: "`Connection` that reaches the target",
    rfc: "9112 §9.3",
    cell: async (proxy) => fieldOf((await proxy.call({}, OK_RESPONSE)).seen, "connection") ?? "none",
    why: "The default of HTTP/1.1, stated for servers of HTTP/1.0.",
  },
];
