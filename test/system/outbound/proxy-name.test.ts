import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, it } from "node:test";
import { connectThroughProxy } from "../../../src/agent/transport/outbound-proxy.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

it("checks an https proxy's certificate by the proxy's own name, not by the control plane's", async () => {
  const pki = await createPki("proxies");
  const caFile = tempPath(".pem");
  writeFileSync(caFile, pki.ca);
  const requested: (string | undefined)[] = [];
  await using proxy = https.createServer(await issueServer(pki));
  proxy.on("connect", (request, socket: Socket) => {
    socket.on("error", () => {});
    requested.push(request.url);
    socket.end("HTTP/1.1 200 OK\r\n\r\n");
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  const address = { host: "localhost", port, label: `localhost:${port}`, username: "", password: "" };
  const to = { host: "cp.example", port: 443 };
  const stream = await connectThroughProxy(
    { scheme: "https", ...address },
    to,
    { caFile },
    AbortSignal.timeout(10_000),
  );
  stream.destroy();
  assert.deepEqual(requested, ["cp.example:443"]);
});
