/** Features of requests. */
import { exchangeRaw } from "../support/raw-http.ts";
import { field } from "./exchange.ts";
import {
  ended,
  http1,
  OK_RESPONSE,
  passes,
  quoted,
  requestField,
  requestLine,
  requestTarget,
  withoutBearer,
} from "./features.ts";
import type { Feature } from "./features.ts";
import type { ReverseProxy } from "./reverse-proxies.ts";
import { fieldOf } from "./target.ts";

function path(to: string): Feature["cell"] {
  return async (proxy) => {
    const { seen, response } = await proxy.call({ path: to }, OK_RESPONSE);
    const got = requestTarget(seen);
    if (got === undefined) return `refused: ${ended(response)}`;
    return got === to ? "passes" : quoted(got, proxy);
  };
}

async function refusal(proxy: ReverseProxy, bytes: string): Promise<string> {
  const { seen, response } = await proxy.send(bytes, OK_RESPONSE);
  return seen === undefined ? `refused: ${ended(response)}` : passes(response);
}

export const REQUESTS: readonly Feature[] = [
  {
    name: "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    rfc: "9110 §9.3",
    cell: async (proxy) => {
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        const { response, seen } = await proxy.call({ method }, OK_RESPONSE);
        if (!requestLine(seen).startsWith(method) || passes(response) !== "passes")
          return `${method}: ${ended(response)}`;
      }
      return "pass";
    },
  },
  ...(["PURGE", "TRACE"] as const).map((method): Feature => ({
    name: `method ${method}`,
    rfc: method === "TRACE" ? "9110 §9.3.8" : "9110 §9.1",
    cell: async (proxy) => {
      const { response, seen } = await proxy.call({ method }, OK_RESPONSE);
      return requestLine(seen).startsWith(method) ? passes(response) : `refused: ${ended(response)}`;
    },
  })),
  {
    name: "HEAD: the length without the content",
    rfc: "9110 §9.3.2",
    cell: async (proxy) => {
      const { response } = await proxy.call(
        { method: "HEAD" },
        "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
      );
      return response.body === "" && field(response, "content-length") === "1234"
        ? "passes"
        : ended(response);
    },
  },
  { name: "path with an encoded slash, `/a%2Fb`", rfc: "3986 §2.2", cell: path("/a%2Fb") },
  { name: "path with dot segments, `/a/../b`", rfc: "3986 §5.2.4", cell: path("/a/../b") },
  { name: "path with an empty segment, `//a`", rfc: "3986 §3.3", cell: path("//a") },
  {
    name: "path with a byte above 0x7f",
    rfc: "9112 §3.2",
    cell: path("/\xc3\xa9"),
    why: "RFC 3986 has no such byte in a URI. As Go encodes it in the first request of a connection; 400 in later ones.",
  },
  { name: "query with `?`, `;`, `\\|` and no value", rfc: "3986 §3.4", cell: path("/q?a=b?c&;d=|&e") },
  { name: "query that is empty, `/q?`", rfc: "3986 §3.4", cell: path("/q?") },
  {
    name: "`OPTIONS *`",
    rfc: "9112 §3.2.4",
    cell: http1(async (proxy) => {
      const { seen, response } = await proxy.send(
        proxy.head("OPTIONS", "").replace(proxy.at(""), "*") + "\r\n",
        OK_RESPONSE,
        "OPTIONS",
      );
      return seen === undefined ? `responds itself: ${ended(response)}` : passes(response);
    }),
  },
  {
    name: "absolute form with the proxy's own host",
    rfc: "9112 §3.2.2",
    cell: http1(async (proxy) => {
      if (proxy.column === "forward proxy")
        return (await proxy.call({}, OK_RESPONSE)).response.status === 200 ? "passes" : "no";
      const bytes = `${proxy.head("GET", "/a").replace(" /", ` http://proxy.example/`)}\r\n`;
      return refusal(proxy, bytes);
    }),
    why: "A host with exactly one dot is a target's name here (`{target}.{id}`), and needs the proxy's credential; any other is our own, and passes.",
  },
  {
    name: "field twice",
    rfc: "9110 §5.3",
    cell: async (proxy) => {
      const { seen } = await proxy.call(
        {
          fields: [
            ["X-A", "1"],
            ["X-A", "2"],
          ],
        },
        OK_RESPONSE,
      );
      return { "1 + 2": "two lines", "1, 2": "one line, `1, 2`" }[fieldOf(seen, "x-a") ?? ""] ?? "dropped";
    },
    why: "The same to its reader (RFC 9110 §5.3). Fields that may not be joined, such as Set-Cookie, are not.",
  },
  { name: "field value with bytes above 0x7f", rfc: "9110 §5.5", cell: requestField("X-Bytes", "a\xe9\xff") },
  { name: "field name with `_`", rfc: "9110 §5.1", cell: requestField("X_Under", "1") },
  {
    name: "field of 16 KiB",
    rfc: "9110 §5.4",
    cell: async (proxy) => {
      const { seen, response } = await proxy.call({ fields: [["X-Large", "x".repeat(16_384)]] }, OK_RESPONSE);
      return seen === undefined ? `refused: ${ended(response)}` : passes(response);
    },
  },
  {
    name: "field that `Connection` lists",
    rfc: "9110 §7.6.1",
    cell: http1(async (proxy) => {
      const { seen } = await proxy.call(
        {
          fields: [
            ["Connection", "X-Hop"],
            ["X-Hop", "1"],
          ],
        },
        OK_RESPONSE,
      );
      return fieldOf(seen, "x-hop") === undefined ? "dropped" : "passes";
    }),
  },
  {
    name: "`Keep-Alive`, `Proxy-Connection`",
    rfc: "9110 §7.6.1",
    cell: http1(async (proxy) => {
      const { seen } = await proxy.call(
        {
          fields: [
            ["Keep-Alive", "timeout=5"],
            ["Proxy-Connection", "keep-alive"],
          ],
        },
        OK_RESPONSE,
      );
      const kept = ["keep-alive", "proxy-connection"].filter((name) => fieldOf(seen, name) !== undefined);
      return kept.length === 0 ? "dropped" : `${kept.map((name) => `\`${name}\``).join(", ")} passes`;
    }),
  },
  { name: "`TE: trailers`", rfc: "9110 §10.1.4", cell: requestField("TE", "trailers") },
  {
    name: "`Expect: 100-continue`",
    rfc: "9110 §10.1.1",
    cell: http1(async (proxy) => {
      const { response, seen } = await proxy.send(
        `${proxy.head("POST", "/")}Content-Length: 2\r\nExpect: 100-continue\r\n\r\nhi`,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "POST",
      );
      const by = response.informational.includes(100) ? "sends 100 itself" : "no 100";
      return `${by}; the field ${fieldOf(seen, "expect") === undefined ? "is dropped" : "passes"}`;
    }),
  },
  {
    name: "chunked body",
    rfc: "9112 §7.1",
    cell: async (proxy) => {
      const { seen, response } = await proxy.call(
        { method: "POST", body: "hello", trailers: [] },
        OK_RESPONSE,
      );
      if (seen === undefined) return `refused: ${ended(response)}`;
      return fieldOf(seen, "transfer-encoding") === undefined ? "held, with a length" : "streams, chunked";
    },
  },
  {
    name: "trailers",
    rfc: "9110 §6.5",
    cell: async (proxy) => {
      const { seen } = await proxy.call(
        { method: "POST", body: "hello", trailers: [["X-Sum", "7"]], fields: [["Trailer", "X-Sum"]] },
        OK_RESPONSE,
      );
      return /x-sum: *7/i.test(seen?.body ?? "") ? "pass" : "dropped";
    },
    why: "Both drop them, as RFC 9110 §6.5.1 allows. Checksums behind an upload are of use to the target.",
  },
  {
    name: "body of 1 MiB",
    rfc: "9110 §6.4",
    cell: async (proxy) => {
      const body = "0123456789abcdef".repeat(65_536);
      const { seen, response } = await proxy.call({ method: "POST", body }, OK_RESPONSE);
      if (seen === undefined) return `refused: ${ended(response)}`;
      return seen.body === body ? "passes" : "damaged";
    },
  },
  {
    name: "HTTP/1.0 caller",
    rfc: "9112 §2.5",
    cell: http1(async (proxy) => {
      const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
      const { response } = await proxy.send(`${proxy.head("GET", "/", "HTTP/1.0")}\r\n`, chunked);
      if (field(response, "transfer-encoding") !== undefined) return "chunked body: not understood";
      return passes(response);
    }),
  },
  {
    name: "lines that end with LF only",
    rfc: "9112 §2.2",
    cell: http1(async (proxy) => refusal(proxy, `${proxy.head("GET", "/")}\r\n`.replaceAll("\r\n", "\n"))),
    why: "A recipient MAY take them (RFC 9112 §2.2); two servers that differ in it see different requests.",
  },
  {
    name: "folded field (obs-fold)",
    rfc: "9112 §5.2",
    cell: http1(async (proxy) => refusal(proxy, `${proxy.head("GET", "/")}X-A: 1\r\n 2\r\n\r\n`)),
  },
  {
    name: "space between field name and colon",
    rfc: "9112 §5.1",
    cell: http1(async (proxy) => refusal(proxy, `${proxy.head("GET", "/")}X-A : 1\r\n\r\n`)),
  },
  {
    name: "Content-Length and Transfer-Encoding together",
    rfc: "9112 §6.1",
    cell: http1(async (proxy) =>
      refusal(
        proxy,
        `${proxy.head("GET", "/")}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      ),
    ),
  },
  {
    name: "two different Content-Lengths",
    rfc: "9112 §6.3",
    cell: http1(async (proxy) =>
      refusal(proxy, `${proxy.head("GET", "/")}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`),
    ),
  },
  {
    name: "bad chunk in the body",
    rfc: "9112 §7.1",
    cell: http1(async (proxy) => {
      const { response, seen } = await proxy.send(
        `${proxy.head("POST", "/")}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
        OK_RESPONSE,
        "POST",
      );
      return `${seen === undefined ? "the target sees nothing" : "the target sees a broken request"}; ${ended(response)}`;
    }),
  },
  {
    name: "two requests in one write (pipelining)",
    rfc: "9112 §9.3.2",
    cell: http1(async (proxy) => {
      const one = `${proxy.head("GET", "/first")}\r\n`;
      const two = `${proxy.head("GET", "/second")}Connection: close\r\n\r\n`;
      proxy.target.expect((seen) => {
        const head = `HTTP/1.1 200 OK\r\nX-For: ${requestTarget(seen)}\r\nContent-Length: 2\r\n\r\n`;
        seen.socket.write(`${head}ok`);
      });
      const { text } = await exchangeRaw(proxy.port, `${one}${two}`);
      const [first, second] = [text.indexOf("/first"), text.indexOf("/second")];
      return first >= 0 && second > first ? "both, in order" : "not both";
    }),
  },
  {
    name: "caller closes its half behind the request",
    rfc: "9112 §9.6",
    cell: http1(async (proxy) => {
      const { response } = await proxy.halfClosed(OK_RESPONSE);
      return passes(response);
    }),
  },
  {
    name: "`Host` at the target",
    rfc: "9110 §7.2",
    cell: async (proxy) => {
      const { seen } = await proxy.call({}, OK_RESPONSE);
      const host = fieldOf(seen, "host") ?? "none";
      if (host === "target") return "the upstream's name";
      return quoted(host, proxy);
    },
    why: "Many development servers refuse hosts that they do not know, and none refuses `localhost` (decision 006).",
  },
  {
    name: "`X-Forwarded-For`, with one of the caller's own",
    rfc: "de facto",
    cell: async (proxy) => {
      const { seen } = await proxy.call({ fields: [["X-Forwarded-For", "6.6.6.6"]] }, OK_RESPONSE);
      return quoted(fieldOf(seen, "x-forwarded-for") ?? "none", proxy);
    },
    why: "A forward proxy tells nothing of its caller (RFC 7239 §8.3).",
  },
  {
    name: "`X-Forwarded-Proto`, `-Host`",
    rfc: "de facto",
    cell: async (proxy) => {
      const { seen } = await proxy.call({}, OK_RESPONSE);
      return quoted(
        ["proto", "host"].map((name) => fieldOf(seen, `x-forwarded-${name}`) ?? "none").join(", "),
        proxy,
      );
    },
    why: "A forward proxy tells nothing of its caller (RFC 7239 §8.3).",
  },
  {
    name: "`X-Forwarded-Prefix`",
    rfc: "de facto",
    cell: async (proxy) => {
      const { seen } = await proxy.call({}, OK_RESPONSE);
      const got = fieldOf(seen, "x-forwarded-prefix");
      return got === undefined ? "none" : quoted(got, proxy);
    },
    why: "Frameworks build links of it (Spring, Traefik's convention); without it an application does not know where it is.",
  },
  {
    name: "`Forwarded` of the caller's own",
    rfc: "7239",
    cell: requestField("Forwarded", "for=6.6.6.6"),
    why: "Who a client is, is not the caller's to say; the target reads `X-Forwarded-For`.",
  },
  {
    name: "`Via`",
    rfc: "9110 §7.6.3",
    cell: async (proxy) => {
      const { seen } = await proxy.call({}, OK_RESPONSE);
      const got = fieldOf(seen, "via");
      return got === undefined ? "none" : quoted(got, proxy);
    },
    why: "A forward proxy MUST send it; a gateway may hold it back, and some servers stop compressing where it is.",
  },
  {
    name: "`Authorization` that is the proxy's own",
    rfc: "9110 §11.6.2",
    cell: async (proxy) => {
      if (!proxy.column.startsWith("route")) return undefined;
      const { seen } = await proxy.call({}, OK_RESPONSE);
      return fieldOf(seen, "authorization") === undefined ? "dropped" : "leaks";
    },
    why: "The caller's credential for Turnabout must not reach a target.",
  },
  {
    name: "`Authorization` of the target's own",
    rfc: "9110 §11.6.2",
    cell: http1(async (proxy) => {
      const head = withoutBearer(proxy.head("GET", "/"));
      const { seen } = await proxy.send(`${head}Authorization: Basic dTpw\r\n\r\n`, OK_RESPONSE);
      return fieldOf(seen, "authorization") === "Basic dTpw" ? "passes" : "dropped";
    }),
    why: "On the route where Turnabout's own credential comes in `X-Api-Key` or in the cookie.",
  },
  { name: "`X-Api-Key` of the target's own", rfc: "de facto", cell: requestField("X-Api-Key", "theirs") },
  {
    name: "`?access_token=` of the target's own",
    rfc: "6750 §2.3",
    cell: path("/a?access_token=theirs"),
  },
  {
    name: "`Proxy-Authorization`",
    rfc: "9110 §11.7.2",
    cell: async (proxy) => {
      const { seen } = await proxy.call(
        proxy.column === "forward proxy" ? {} : { fields: [["Proxy-Authorization", "Basic dTpw"]] },
        OK_RESPONSE,
      );
      return fieldOf(seen, "proxy-authorization") === undefined ? "dropped" : "passes";
    },
  },
  { name: "`Cookie`", rfc: "6265 §5.4", cell: requestField("Cookie", "a=1; b=2") },
  {
    name: "`Prefer: return=minimal, wait=5`",
    rfc: "7240",
    cell: requestField("Prefer", "return=minimal, wait=5"),
    why: "`wait` is for us: how long a dial may wait for the runner.",
  },
  { name: "`Range`, `If-Range`", rfc: "9110 §14.2", cell: requestField("Range", "bytes=0-4") },
  { name: "`Accept-Encoding`", rfc: "9110 §12.5.3", cell: requestField("Accept-Encoding", "gzip;q=0.5, br") },
  {
    name: "no `User-Agent`",
    rfc: "9110 §10.1.5",
    cell: async (proxy) => {
      const { seen } = await proxy.call({}, OK_RESPONSE);
      return fieldOf(seen, "user-agent") === undefined ? "stays absent" : "one is added";
    },
  },
];
