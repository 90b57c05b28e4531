/** Certificates that change at run time: new connections get the new ones, and no open stream is lost. */
import assert from "node:assert/strict";
import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, it } from "node:test";
import tls from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { writeFolder } from "../../../certs/folder.ts";
import type { AgentOptions } from "../../../src/agent/config.ts";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import { followAgent, keptLog } from "../../support/agents.ts";
import type { FollowedAgent, KeptLine } from "../../support/agents.ts";
import type { EventLog } from "../../support/event-log.ts";
import { ending, eventually, next, within } from "../../support/events.ts";
import { call, open, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import type { Credential } from "../../support/pki.ts";
import { startStopwatch } from "../../support/stopwatch.ts";
import { ADMIN_TOKEN, RUNNER } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

const pki = await createPki();
const other = await createPki("other");
const serialOf = (pem: string) => new X509Certificate(pem).serialNumber;
const issueAgent = (seconds = 3_600) =>
  pki.issue({ commonName: RUNNER, purposes: ["client"], notAfter: new Date(Date.now() + seconds * 1_000) });

const BULK_BYTES = 100 * 1024 * 1024;
const PIECE = randomBytes(1024 * 1024);

describe("renewal", () => {
  it(
    "under load drops nothing: requests, 100 MB and a WebSocket go on while both ends renew",
    { timeout: 110_000 },
    async () => {
      await using stand = await start();
      const url = (path: string) => targetUrl(stand.url, RUNNER, "web", path);
      const socket = new WebSocket(url("/echo").replace("http", "ws"), {
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      });
      await next(socket, "open");
      const bulk = digest(url("/bulk"));
      let renewing = true;
      let done = 0;
      const requests = (async () => {
        while (renewing) {
          const { status, body: text } = await call(url("/hello"));
          assert.deepEqual([status, text], [200, "hello"]);
          done += 1;
        }
      })();

      for (let round = 0; round < 3; round += 1) {
        const agent = await issueAgent();
        await stand.writeServer(await issueServer(pki));
        await stand.writeAgent(agent);
        const used = () =>
          stand.controlPlane.runners()[0]?.connections.map(({ certificate }) => certificate?.serialNumber) ??
          [];
        await eventually(
          () => used().filter((serial) => serial === serialOf(agent.cert)).length === 2,
          "both slots",
          20_000,
        );
        socket.send(`round ${round}`);
        const [echo] = await next<[Buffer]>(socket, "message");
        assert.equal(echo.toString(), `round ${round}`);
      }
      const before = done;
      await eventually(() => done > before + 3, "requests on the renewed connections");
      renewing = false;
      await requests;
      assert.equal(await within(bulk, "100 MB", 60_000), expectedDigest());
      assert.equal(
        stand.agent.events.all.filter(({ type }) => type === "lost" || type === "attempt-failed").length,
        0,
      );
      // The old connection, held open by the WebSocket only, ends with it.
      assert.ok((stand.controlPlane.runners()[0]?.connections.length ?? 0) > 2);
      const closed = next(socket, "close");
      socket.close();
      await closed;
      await eventually(
        () => stand.controlPlane.runners()[0]?.connections.length === 2,
        "the old connections' end",
        20_000,
      );
    },
  );

  it("gives new connections the new server certificate, and keeps tunnel connections open", async () => {
    await using stand = await start();
    const connection = stand.controlPlane.runners()[0]?.connections[0]?.id;
    const renewed = await issueServer(pki);
    await stand.writeServer(renewed);
    await stand.lines.find(({ message }) => message === "TLS files reloaded", "the new certificate");
    assert.equal(await servedSerial(stand.controlPlane.port), serialOf(renewed.cert));
    assert.equal(stand.controlPlane.runners()[0]?.connections[0]?.id, connection);
    assert.deepEqual(
      stand.agent.events.all.map(({ type }) => type),
      ["connected", "connected"],
    );
  });

  it("waits while certificate and key do not match, and logs nothing", async () => {
    await using stand = await start();
    const renewed = await issueServer(pki);
    const from = stand.lines.all.length;
    const before = await servedSerial(stand.controlPlane.port);
    writeFileSync(path.join(stand.serverFolder, "..data/tls.crt"), renewed.cert);
    const checksMs = performance.now() + 1_200; // two checks of the files
    await eventually(() => performance.now() > checksMs, "two checks");
    assert.equal(await servedSerial(stand.controlPlane.port), before);
    assert.deepEqual(
      stand.lines.all.slice(from).filter(({ level }) => level === "warn" || level === "error"),
      [],
    );
    writeFileSync(path.join(stand.serverFolder, "..data/tls.key"), renewed.key);
    await stand.lines.find(({ message }) => message === "TLS files reloaded", "the new pair");
    assert.equal(await servedSerial(stand.controlPlane.port), serialOf(renewed.cert));
  });

  const broken: [string, (good: Credential) => Promise<Record<string, string>>, RegExp][] = [
    ["is no PEM", async () => ({ "tls.crt": "nonsense" }), /--tls-cert .*tls\.crt: no PEM certificate in it/],
    [
      "has expired",
      async () => {
        const day = 86_400_000;
        const old = { notBefore: new Date(Date.now() - 9 * day), notAfter: new Date(Date.now() - day) };
        const { cert, key } = await pki.issue({ commonName: "localhost", ...old });
        return { "tls.crt": cert, "tls.key": key };
      },
      /--tls-cert .*: the certificate expired at /,
    ],
    [
      "comes with a CRL of another CA",
      async () => ({ "crl.pem": await other.revocationList("01") }),
      /--client-crl .*: none of --client-ca has signed this list/,
    ],
    ["comes with an empty CRL", async () => ({ "crl.pem": "" }), /--client-crl .*: empty/],
  ];
  for (const [what, make, says] of broken) {
    it(`keeps the last valid files if a new one ${what}, and logs which`, async () => {
      await using stand = await start();
      const before = await servedSerial(stand.controlPlane.port);
      const good = await issueServer(pki);
      await stand.writeServer(good, await make(good));
      const line = await stand.lines.find(
        ({ message }) => message.includes("the last valid ones stay in use"),
        "the complaint",
      );
      assert.match(String(line.fields["reason"]), says);
      assert.equal(await servedSerial(stand.controlPlane.port), before);
      await assertEchoesHello(stand);
    });
  }
});

describe("a revocation list that changes", () => {
  it("closes what the certificate has opened within a second, and refuses it from then on", async () => {
    await using stand = await start();
    const response = await open(targetUrl(stand.url, RUNNER, "web", "/endless"));
    const end = ending(response);
    const stopwatch = startStopwatch();
    await stand.writeServer(stand.server, {
      "crl.pem": await pki.revocationList(serialOf(stand.credential.cert)),
    });
    assert.equal((await end).kind, "error");
    assert.ok(stopwatch.elapsedMs() < 1_500, "half a second between looks, and a second to close");
    const { error } = await stand.agent.failed();
    assert.match(error.message, /refused: unauthenticated: .*has been revoked: ask for a new one/);
    const line = await stand.lines.find(
      ({ message }) => message.includes("no longer accepted"),
      "the closing",
    );
    assert.match(String(line.fields["reason"]), /has been revoked/);
    // A new certificate is tried at once, even during the pause after a refusal.
    await stand.writeAgent(await issueAgent());
    await eventually(
      () => stand.controlPlane.runners()[0]?.state === "connected",
      "the new certificate",
      10_000,
    );
  });
});

describe("a tunnel connection", () => {
  it("does not outlive its client certificate, unless its agent has renewed it", async () => {
    await using stand = await start({ agentSeconds: 4 });
    const line = await stand.lines.find(
      ({ message }) => message.includes("has expired; draining"),
      "the end",
      { timeoutMs: 15_000 },
    );
    assert.match(String(line.fields["reason"]), /expired at /);
    const { error } = await stand.agent.failed();
    assert.match(error.message, /refused: unauthenticated: .*expired at .*: renew it/);
  });

  it("is replaced before the old certificate expires", async () => {
    await using stand = await start({ agentSeconds: 8 });
    await stand.writeAgent(await issueAgent());
    const isNew = () => {
      const connections = stand.controlPlane.runners()[0]?.connections ?? [];
      return (
        connections.length === 2 &&
        connections.every(({ certificate }) => certificate?.serialNumber !== serialOf(stand.credential.cert))
      );
    };
    await eventually(isNew, "only renewed connections");
    assert.equal(stand.agent.events.all.filter(({ type }) => type === "lost").length, 0);
    await assertEchoesHello(stand);
  });
});

interface Stand extends AsyncDisposable {
  controlPlane: ControlPlane;
  url: string;
  lines: EventLog<KeptLine>;
  agent: FollowedAgent;
  server: Credential;
  credential: Credential;
  serverFolder: string;
  writeServer(credential: Credential, others?: Record<string, string>): Promise<void>;
  writeAgent(credential: Credential): Promise<void>;
}

async function start({ agentSeconds = 3_600 }: { agentSeconds?: number } = {}): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const target = stack.use(
    await startHttpTarget((request, response) => {
      if (request.url === "/hello") return void response.end("hello");
      if (request.url === "/endless") return void response.write("endless ");
      void sendBulk(response);
    }),
  );
  const echo = new WebSocketServer({ server: target.http });
  echo.on("connection", (socket) =>
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })),
  );
  stack.defer(() => {
    for (const socket of echo.clients) socket.terminate();
  });
  const [serverFolder, agentFolder] = [tempPath(".d"), tempPath(".d")];
  const server = await issueServer(pki);
  const credential = await issueAgent(agentSeconds);
  const none = await pki.revocationList();
  const writeServer = ({ cert, key }: Credential, others: Record<string, string> = {}) =>
    writeFolder(serverFolder, {
      "tls.crt": cert,
      "tls.key": key,
      "ca.crt": pki.ca,
      "crl.pem": none,
      ...others,
    });
  const writeAgent = ({ cert, key }: Credential) =>
    writeFolder(agentFolder, { "tls.crt": cert, "tls.key": key, "ca.crt": pki.ca });
  await writeServer(server);
  await writeAgent(credential);
  const { log, lines } = keptLog();
  const controlPlane = stack.use(
    await createControlPlane({
      port: 0,
      host: "127.0.0.1",
      adminToken: ADMIN_TOKEN,
      tlsFiles: {
        certFile: path.join(serverFolder, "tls.crt"),
        keyFile: path.join(serverFolder, "tls.key"),
        clientCaFile: path.join(serverFolder, "ca.crt"),
        clientCrlFile: path.join(serverFolder, "crl.pem"),
      },
      drainMs: 500,
      log,
    }),
  );
  const options: Partial<AgentOptions> = {
    connections: 2,
    carrier: "rh2",
    token: undefined,
    caFile: path.join(agentFolder, "ca.crt"),
    certFile: path.join(agentFolder, "tls.crt"),
    keyFile: path.join(agentFolder, "tls.key"),
    runners: { [RUNNER]: { web: target.address } },
  };
  const agent = stack.use(followAgent({ ...options, server: `https://localhost:${controlPlane.port}` }));
  await eventually(() => controlPlane.runners()[0]?.connections.length === 2, "both connections");
  return {
    controlPlane,
    url: `http://127.0.0.1:${controlPlane.port}`,
    lines,
    agent,
    server,
    credential,
    serverFolder,
    writeServer,
    writeAgent,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function assertEchoesHello(stand: Stand): Promise<void> {
  const { status, body: text } = await call(targetUrl(stand.url, RUNNER, "web", "/hello"));
  assert.deepEqual([status, text], [200, "hello"]);
}

async function sendBulk(response: NodeJS.WritableStream): Promise<void> {
  for (let sent = 0; sent < BULK_BYTES; sent += PIECE.length) {
    if (!response.write(PIECE)) await next(response, "drain", 60_000);
    // Slow enough to span all the renewals.
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  response.end();
}

function expectedDigest(): string {
  const hash = createHash("sha256");
  for (let sent = 0; sent < BULK_BYTES; sent += PIECE.length) hash.update(PIECE);
  return hash.digest("hex");
}

async function digest(url: string): Promise<string> {
  const response = await open(url);
  const hash = createHash("sha256");
  for await (const chunk of response) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

async function servedSerial(port: number): Promise<string | undefined> {
  const socket = tls.connect({ port, host: "localhost", ca: pki.ca });
  await next(socket, "secureConnect");
  const serial = socket.getPeerX509Certificate()?.serialNumber;
  const closed = next(socket, "close");
  // Not `destroy`: it may overtake the last message of the handshake, and the control plane would log that.
  socket.resume().end();
  await closed;
  return serial;
}
