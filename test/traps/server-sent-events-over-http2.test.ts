/**
 * Trap: Hono's streaming helpers set `transfer-encoding`; HTTP/2 forbids it, the response is lost, and an unhandled
 * rejection ends a process that has no handler.
 * Guard: src/control/api/response-fields.ts, the first middleware of src/control/api/app.ts.
 */
import { getRequestListener } from "@hono/node-server";
import assert from "node:assert/strict";
import http2 from "node:http2";
import { after, describe, it } from "node:test";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { TrustedProxies } from "../../src/control/trusted-proxies/trusted-proxies.ts";
import { InFlight } from "../../src/control/in-flight/in-flight.ts";
import { createPort } from "../../src/control/listener/port.ts";
import { removeConnectionFields } from "../../src/control/api/response-fields.ts";
import { silentLogger } from "../../src/wire/log.ts";
import { ending, next } from "../support/events.ts";
import { open, bodyOf } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";

after(() => assertNothingOpen());

const app = new Hono();
app.use(removeConnectionFields);
app.get("/events", (c) => streamSSE(c, (stream) => stream.writeSSE({ data: "hello" })));

describe("server-sent events on one port", () => {
  it("reach a caller on HTTP/1.1 and one on HTTP/2", async () => {
    const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
    const unused = () => assert.fail("not requested");
    const port = createPort({
      handlers: {
        request: (request, response) => void listener(request, response),
        upgrade: unused,
        connect: unused,
        connectStream: unused,
        reversed: unused,
      },
      log: silentLogger,
      tls: undefined,
      trustedProxies: new TrustedProxies({}),
      inFlight: new InFlight(),
    });
    const address = await port.listen({ port: 0, host: "127.0.0.1" });
    const url = `http://127.0.0.1:${address.port}`;
    assert.equal(await bodyOf(await open(`${url}/events`)), "data: hello\n\n");

    const session = http2.connect(url);
    const stream = session.request({ ":path": "/events" });
    const end = ending(stream);
    const [headers] = await next<[http2.IncomingHttpHeaders]>(stream, "response");
    assert.equal(headers["content-type"], "text/event-stream");
    assert.deepEqual([(await end).kind, (await end).data.toString()], ["end", "data: hello\n\n"]);
    session.close();
    await next(session, "close");
    port.stopAccepting();
    port.destroy();
  });
});
