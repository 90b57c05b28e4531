/** Peers whose HTTP/2 connection ends in the packet of its SETTINGS, or at the moment of a request. */
import assert from "node:assert/strict";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { followAgent } from "../../support/agents.ts";
import { within } from "../../support/events.ts";
import { dialCarrier } from "../../support/frame-server.ts";
import { listen } from "../../support/reverse-proxies.ts";
import { call, errorCode, targetUrl } from "../../support/http.ts";
import { encodeFrame, FRAME, uint32 } from "../../support/http2-frames.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const SETTINGS = encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.from([0, 8, 0, 0, 0, 1]));
const NO_TUNNELS = encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.alloc(0));
const goaway = (code: number): Buffer =>
  encodeFrame(FRAME.GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(code)]));
/** A connection error: WINDOW_UPDATE by nothing (RFC 9113 §6.9). */
const NO_INCREMENT = encodeFrame(FRAME.WINDOW_UPDATE, 0, 0, uint32(0));
const PACKETS: readonly (readonly [name: string, bytes: Buffer])[] = [
  ["GOAWAY", Buffer.concat([SETTINGS, goaway(0)])],
  ["GOAWAY with an error", Buffer.concat([SETTINGS, goaway(1)])],
  ["a frame that is an error", Buffer.concat([SETTINGS, NO_INCREMENT])],
  ["a frame that is an error, without Extended CONNECT", Buffer.concat([NO_TUNNELS, NO_INCREMENT])],
  ["what is no frame", Buffer.concat([SETTINGS, Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")])],
];

function packetServer(bytes: Buffer): net.Server {
  return net.createServer((socket) => {
    socket.on("error", () => {}); // permanent
    socket.once("data", () => socket.write(bytes));
    socket.resume();
  });
}

describe("behind SETTINGS in one packet", () => {
  for (const [name, bytes] of PACKETS) {
    it(`${name}: the h2 carrier fails with a reason`, async () => {
      await using server = await listen(packetServer(bytes));
      await using agent = followAgent({ server: `http://127.0.0.1:${server.port}`, carrier: "h2" });
      const { error } = await agent.failed();
      assert.match(error.message, /^h2: /);
    });
  }

  it("the exchange with an HTTP/2 target fails, and its neighbours continue", async () => {
    await using system = await startSystem({ agents: 0 });
    for (const [name, bytes] of PACKETS) {
      await using target = await listen(packetServer(bytes));
      await system.addAgent({
        [`r${target.port}`]: { bad: `127.0.0.1:${target.port};http=2`, [TARGET]: system.target.address },
      });
      const response = await within(
        call(targetUrl(system.url, `r${target.port}`, "bad"), { token: ADMIN_TOKEN }),
        `the response behind ${name}`,
      );
      assert.equal(response.status, 502, name);
      assert.match(errorCode(response), /^target_/, name);
    }
    assert.equal(system.controlPlane.runners().length, PACKETS.length);
  });

  it("an agent is not admitted", async () => {
    await using system = await startSystem();
    for (const [index, [name, bytes]] of PACKETS.entries()) {
      const carrier = await dialCarrier({
        port: system.controlPlane.port,
        token: ADMIN_TOKEN,
        carrier: "ptth",
        runner: `evil-${index}`, // one runner's connections may not fail so often
      });
      carrier.on("error", () => {}); // permanent
      carrier.resume();
      carrier.write(bytes);
      const closed = new Promise((resolve) => carrier.once("close", resolve));
      await within(closed, `the end of the carrier behind ${name}`);
    }
    assert.deepEqual(
      system.controlPlane.runners().map(({ id }) => id),
      [RUNNER],
    );
  });

  it("the ping of an agent whose tunnel connection has just ended fails once, and at once", async () => {
    await using system = await startSystem();
    const connection = system.controlPlane.runners()[0]?.connections[0];
    assert.ok(connection);
    const { http2Session: session } = connection;
    const ping = session.ping.bind(session);
    session.ping = () => {
      throw new Error("the session was destroyed");
    };
    const url = `${system.url}/api/v1/runners/${RUNNER}/ping`;
    const response = await within(call(url, { token: ADMIN_TOKEN }), "the response");
    session.ping = ping;
    assert.equal(errorCode(response), "tunnel_timeout");
  });
});
