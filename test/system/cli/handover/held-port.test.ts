/** A listening socket that something else holds: systemd's socket activation, here the test. */
import assert from "node:assert/strict";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { Command, startAgent } from "../../../support/commands.ts";
import { runnersUntil, targetUrl } from "../../../support/http.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../../support/system.ts";
import { startHttpTarget } from "../../../support/target.ts";
import { tempPath } from "../../../support/temp.ts";
import { Traffic } from "../../../support/traffic.ts";

afterEach(() => assertNothingOpen());

/** `LISTEN_PID` as a service manager sets it: the shell becomes the command. */
const ACTIVATED = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=${COUNT:-1} LISTEN_FDNAMES=web exec "$@"', "sh"];

function serve(args: readonly string[], options: ConstructorParameters<typeof Command>[2]): Command {
  const env = { TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN, ...options?.env };
  return new Command("turnabout", ["serve", ...args], { ...options, env });
}

describe("turnabout serve with a socket of LISTEN_FDS", () => {
  it("refuses no connection while it is restarted, by SIGTERM and by SIGKILL", async () => {
    using held = new net.BoundSocket({ host: "127.0.0.1" });
    const { port } = held.address();
    const start = (): Command =>
      serve(["--port", "1", "--data-dir", data, "--drain", "5"], {
        through: ACTIVATED,
        descriptors: [held.fd()],
      });
    const data = tempPath("-data");
    const url = `http://127.0.0.1:${port}`;
    await using target = await startHttpTarget((_request, response) => response.end("small"));
    await using stack = new AsyncDisposableStack();
    let current = stack.use(start());
    const { overridden } = await current.logged("listening on the socket of LISTEN_FDS");
    assert.deepEqual(overridden, ["--port"]);
    assert.equal((await current.logged("control plane listens"))["port"], port);
    await using agent = startAgent(url, "web", `web=${target.address}`);
    await runnersUntil(url, ([web]) => web?.state === "connected", "the agent");
    await using drained = new Traffic(targetUrl(url, "web", "web"));
    await drained.responses(20);
    assert.deepEqual(await current.end("SIGTERM"), { code: 0, signal: null });
    current = stack.use(start());
    await drained.responses(50);
    assert.deepEqual((await drained.stop()).failures, []);

    await using killed = new Traffic(targetUrl(url, "web", "web"));
    await killed.responses(20);
    await current.end("SIGKILL");
    current = stack.use(start());
    await killed.responses(50);
    const { failures } = await killed.stop();
    assert.ok(!failures.includes("ECONNREFUSED"), failures.join(" "));
    // A request that the killed process had accepted is lost with it.
    assert.ok(failures.length <= 4, failures.join(" "));
    assert.ok(agent.running);
    assert.equal((await current.end()).code, 0);
  });

  it("takes one socket, and says so where there are more", async () => {
    using held = new net.BoundSocket({ host: "127.0.0.1" });
    const env = { COUNT: "2" };
    await using command = serve([], { through: ACTIVATED, descriptors: [held.fd()], env });
    assert.equal((await command.exited).code, 2);
    assert.match(command.stderr, /LISTEN_FDS=2: turnabout takes one socket/);
    assert.match(command.stderr, /one ListenStream=/);
  });

  it("does not use a socket that is another process's", async () => {
    using held = new net.BoundSocket({ host: "127.0.0.1" });
    const env = { LISTEN_PID: "1", LISTEN_FDS: "1" };
    const args = ["--host", "127.0.0.1", "--port", "0"];
    await using command = serve(args, { descriptors: [held.fd()], env });
    const { reason } = await command.logged("the socket of LISTEN_FDS is not used");
    assert.match(String(reason), /^LISTEN_PID=1 is not this process/);
    assert.notEqual((await command.logged("control plane listens"))["port"], held.address().port);
    assert.equal((await command.end()).code, 0);
  });
});
