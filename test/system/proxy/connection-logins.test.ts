/** A login that counts for a connection to the target (NTLM, Negotiate) is its caller's alone. */
import assert from "node:assert/strict";
import http from "node:http";
import { afterEach, describe, it } from "node:test";
import { openCaller, via } from "../../support/callers.ts";
import { next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import type { RawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

/** As IIS does it: three messages on one connection, whose user everything on it has from then on. */
async function startNtlmTarget(): Promise<RawTarget> {
  const users = new Map<number, string>();
  return startRawTarget(({ head, socket, connection }) => {
    const [, scheme = "NTLM", message = ""] = /^authorization: (NTLM|Negotiate) (\S+)/im.exec(head) ?? [];
    const isClosing = /^connection: close$/im.test(head);
    let challenge = "";
    if (message.startsWith("final-")) users.set(connection, message.slice(6));
    else if (message === "first") challenge = `WWW-Authenticate: ${scheme} challenge\r\n`;
    const user = users.get(connection);
    const body = `${user ?? "anonymous"} ${connection}`;
    if (user === undefined && challenge === "") challenge = "WWW-Authenticate: NTLM\r\n";
    const bytes = `HTTP/1.1 ${user === undefined ? "401 Unauthorized" : "200 OK"}\r\n${challenge}Content-Length: ${body.length}\r\n\r\n${body}`;
    if (isClosing) socket.end(bytes);
    else socket.write(bytes);
  });
}

const PROXIED = `http://${TARGET}.${RUNNER}/`;
const CREDENTIAL = { "proxy-authorization": `Bearer ${ADMIN_TOKEN}` };

/** A caller on one connection: the user that the target takes it for. */
function openPerson(port: number): { ask(authorization?: string): Promise<string>; leave(): void } {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async (authorization?: string): Promise<string> => {
    const headers = { ...CREDENTIAL, ...(authorization !== undefined && { authorization }) };
    const request = http.get({ host: "127.0.0.1", port, agent, path: PROXIED, headers });
    const [response] = await next<[http.IncomingMessage]>(request, "response");
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return text;
  };
  return { ask, leave: () => agent.destroy() };
}

const userOf = (text: string): string => text.split(" ", 1)[0] ?? "";

describe("a login that is bound to a connection", () => {
  for (const scheme of ["NTLM", "Negotiate", "ntlm"]) {
    it(`by ${scheme} is that of the caller's connection, and of no other`, async () => {
      const target = await startNtlmTarget();
      await using system = await startSystem({ target, agent: { connections: 2 } });
      const { port } = system.controlPlane;
      const [alice, bob] = [openPerson(port), openPerson(port)];
      assert.equal(userOf(await alice.ask()), "anonymous");
      assert.equal(userOf(await alice.ask(`${scheme} first`)), "anonymous");
      assert.equal(userOf(await bob.ask(`${scheme} first`)), "anonymous", "in between");
      const [user, connection] = (await alice.ask(`${scheme} final-alice`)).split(" ");
      assert.equal(user, "alice", "all three messages came on one connection");
      for (let i = 0; i < 4; i += 1) {
        assert.equal(await alice.ask(), `alice ${connection}`, "it stays hers");
        assert.equal(userOf(await openAndAsk(port)), "anonymous", "not for another caller");
        assert.equal(userOf(await bob.ask()), "anonymous");
      }
      assert.equal(userOf(await bob.ask(`${scheme} final-bob`)), "bob");
      assert.equal(await alice.ask(), `alice ${connection}`);
      const socket = [...target.sockets].length;
      alice.leave();
      bob.leave();
      assert.ok(socket >= 3);
      assert.equal(userOf(await openAndAsk(port)), "anonymous", "nor when they have left");
    });
  }

  it("counts for one request where the caller's connection may be several people's", async () => {
    const target = await startNtlmTarget();
    await using system = await startSystem({ target, controlPlane: { trustedProxies: ["127.0.0.1"] } });
    const { port } = system.controlPlane;
    const front = openPerson(port);
    assert.equal(userOf(await front.ask("NTLM final-alice")), "alice");
    assert.equal(userOf(await front.ask()), "anonymous");
    front.leave();
  });

  it("counts for one request over HTTP/2, and on the API beside our own credential", async () => {
    const target = await startNtlmTarget();
    await using system = await startSystem({ target });
    await using caller = await openCaller("HTTP/2 by prior knowledge", system);
    const headers = { "x-api-key": ADMIN_TOKEN, authorization: "NTLM final-alice" };
    assert.equal(userOf((await caller.call({ path: via("/"), headers })).text), "alice");
    assert.equal(userOf((await caller.call({ path: via("/") })).text), "anonymous");
  });
});

async function openAndAsk(port: number): Promise<string> {
  const person = openPerson(port);
  const text = await person.ask();
  person.leave();
  return text;
}
