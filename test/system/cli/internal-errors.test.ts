/** An exception that has left every guard ends a command: logged, after a short drain, with a status that says so. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import { after, describe, it } from "node:test";
import { startAgent, startServe } from "../../support/commands.ts";
import { ending, within } from "../../support/events.ts";
import { open } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";

after(() => assertNothingOpen());

const FAULT = { NODE_OPTIONS: `--import=${new URL("../../support/fault.child.ts", import.meta.url).href}` };

describe("an internal error", () => {
  it("of the control plane lets a running response become complete, and ends the process with 70", async () => {
    const responses: ServerResponse[] = [];
    const target = createServer((_request, response) => {
      responses.push(response);
      response.writeHead(200, { "content-length": "4" });
      response.write("ab");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => target.once("listening", resolve));
    const { port } = target.address() as { port: number };
    await using serve = await startServe([], { env: FAULT });
    await using agent = startAgent(serve.url, "r", `t=127.0.0.1:${port}`);
    await serve.logged("agent connected");
    const response = await open(`${serve.url}/api/v1/runners/r/targets/t/`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    const body = ending(response);
    serve.signal("SIGUSR2");
    const line = await serve.logged("internal error: ending the process");
    assert.match(JSON.stringify(line), /injected exception/);
    responses[0]?.end("cd");
    const { kind, data } = await body;
    assert.deepEqual([kind, data.toString()], ["end", "abcd"]);
    assert.deepEqual(await within(serve.exited, "the end of the control plane"), { code: 70, signal: null });
    assert.deepEqual(await agent.end(), { code: 0, signal: null });
    target.close();
  });

  it("of the control plane sends its agents away also while a response never ends", async () => {
    const target = createServer((_request, response) => void response.write("endless")).listen(
      0,
      "127.0.0.1",
    );
    await new Promise((resolve) => target.once("listening", resolve));
    const { port } = target.address() as { port: number };
    await using serve = await startServe([], { env: FAULT });
    await using agent = startAgent(serve.url, "r", `t=127.0.0.1:${port}`);
    await serve.logged("agent connected");
    const response = await open(`${serve.url}/api/v1/runners/r/targets/t/`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    const body = ending(response);
    serve.signal("SIGUSR2");
    await serve.logged("the drain deadline has passed");
    assert.equal((await body).kind, "error");
    assert.deepEqual(await within(serve.exited, "the end of the control plane"), { code: 70, signal: null });
    await agent.end();
    target.closeAllConnections();
    target.close();
  });

  for (const fault of ["unreadable", "unreadable rejection"]) {
    it(`ends the process with 70 and a line in the log also where it cannot be read: ${fault}`, async () => {
      await using serve = await startServe([], { env: { ...FAULT, FAULT: fault } });
      serve.signal("SIGUSR2");
      const line = await serve.logged("internal error: ending the process");
      assert.match(JSON.stringify(line), /cannot be read/);
      assert.deepEqual(await within(serve.exited, "the end of the control plane"), {
        code: 70,
        signal: null,
      });
    });
  }

  it("of an agent ends it with 70, also when it is a rejection, and while a stream never ends", async () => {
    await using serve = await startServe();
    const target = createServer((_request, response) => void response.write("endless")).listen(
      0,
      "127.0.0.1",
    );
    await new Promise((resolve) => target.once("listening", resolve));
    const { port } = target.address() as { port: number };
    await using agent = startAgent(serve.url, "r", `t=127.0.0.1:${port}`, [], {
      ...FAULT,
      FAULT: "rejection",
    });
    await serve.logged("agent connected");
    const response = await open(`${serve.url}/api/v1/runners/r/targets/t/`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    const body = ending(response);
    agent.signal("SIGUSR2");
    const line = await agent.logged("internal error: ending the process");
    assert.match(JSON.stringify(line), /injected rejection/);
    assert.deepEqual(await within(agent.exited, "the end of the agent"), { code: 70, signal: null });
    assert.notEqual((await body).kind, "end");
    target.closeAllConnections();
    target.close();
  });
});
