/** A relay that has a client certificate does not lend it to the agents behind it. */
import assert from "node:assert/strict";
import tls from "node:tls";
import type { TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import { file, keptLog } from "../../support/agents.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { rawExchange, startRelayTo, upgradeRequest } from "../../support/relays.ts";

afterEach(() => assertNothingOpen());

const pki = await createPki();
const own = await pki.issue({ commonName: "relay", purposes: ["client"] });
const OWN_FILES = { certFile: file(own.cert), keyFile: file(own.key), caFile: file(pki.ca) };

interface TlsFront extends AsyncDisposable {
  url: string;
  /** Names in the client certificates of its connections. */
  seen: unknown[];
}

/** A server that requests a client certificate, and refuses every upgrade. */
async function startFront(rejectUnauthorized: boolean): Promise<TlsFront> {
  const seen: unknown[] = [];
  const sockets = new Set<TLSSocket>();
  const settings = { ...(await issueServer(pki)), ca: pki.ca, requestCert: true, rejectUnauthorized };
  const server = tls.createServer(settings, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // permanently
    seen.push(socket.getPeerCertificate().subject?.CN);
    socket.once("data", () => socket.end("HTTP/1.1 401 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    seen,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

describe("a relay with a client certificate", () => {
  it("presents none on the connections that it forwards, and warns of it at its start", async () => {
    await using front = await startFront(false);
    const { log, lines } = keptLog();
    await using relay = await startRelayTo(front.url, { ...OWN_FILES, log });
    assert.match(await rawExchange(relay.port, upgradeRequest()), /^HTTP\/1\.1 401 /);
    assert.deepEqual(front.seen, [undefined]);
    assert.ok(lines.all.some(({ message }) => message.includes("forwarded connections have none")));
  });

  it("reports that a control plane requires one", async () => {
    await using front = await startFront(true);
    const { log, lines } = keptLog();
    await using relay = await startRelayTo(front.url, { ...OWN_FILES, log });
    const response = await rawExchange(relay.port, upgradeRequest());
    assert.match(response, /^HTTP\/1\.1 502 [^]*"code":"server_unreachable"/);
    const refused = lines.all.find(({ message }) => message === "relay: not forwarded");
    assert.match(
      String(refused?.fields["reason"]),
      /the alert "certificate required": it requires a client certificate, and a relay presents none/,
    );
    assert.deepEqual(front.seen, []);
  });
});
