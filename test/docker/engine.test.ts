/** The fixture itself: a real engine, reached from outside, of which nothing stays. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { processesWith } from "../e2e/processes.ts";
import { ending, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { BUSYBOX, importBusybox } from "./busybox.ts";
import { Engine, engineCannot } from "./engine.ts";

const skip = engineCannot();

describe("a Docker Engine of the test's own", { skip }, () => {
  let engine: Engine;

  before(async () => {
    engine = await Engine.start();
    await importBusybox(engine);
  });

  after(async () => {
    await engine[Symbol.asyncDispose]();
    await assertNothingLeft(engine.folder);
    assert.equal(existsSync(engine.folder), false);
    await assertNothingOpen();
  });

  it("runs a container in a network with a subnet of our choice, reached from outside", async () => {
    await engine.command("docker", ["network", "create", "--subnet", "172.19.0.0/16", "outer"]);
    const place = ["--network", "outer", "--ip", "172.19.0.20"];
    const script = "echo from inside >/index.html; exec busybox httpd -f -p 80 -h /";
    const line = ["run", "-d", "--name", "web", ...place, BUSYBOX, "busybox", "sh", "-c", script];
    await engine.command("docker", line);
    const port = await engine.publish("172.19.0.20", 80);
    const response = await untilResponse(`http://127.0.0.1:${port}/index.html`);
    assert.equal(response, "from inside\n");

    const socket = await engine.connect("172.19.0.20", 80);
    const end = ending(socket);
    socket.end("GET /index.html HTTP/1.0\r\n\r\n");
    const { kind, data } = await end;
    assert.equal(kind, "end");
    assert.match(data.toString("latin1"), /^HTTP\/1\.[01] 200 OK\r\n.*from inside\n$/s);

    const inspected = await engine.docker.getContainer("web").inspect();
    assert.equal(inspected.NetworkSettings.Networks["outer"]?.IPAddress, "172.19.0.20");
  });

  it("gives the exit status and the output of a program in its network", async () => {
    const ran = await engine.run("docker", ["run", "--rm", BUSYBOX, "busybox", "false"]);
    assert.equal(ran.code, 1);
    await assert.rejects(engine.command("sh", ["-c", "echo why >&2; exit 3"]), /status 3: why/);
    assert.equal(await engine.command("cat", [], { input: "as it was given" }), "as it was given");
    // Its network, not ours: a docker0 of its own.
    assert.match(await engine.command("ip", ["-o", "link"]), /docker0/);
  });
});

it("ends with its test when that is killed, container, mounts and all", { skip }, async () => {
  const child = fork(fileURLToPath(new URL("engine.child.ts", import.meta.url)), { stdio: "inherit" });
  const [folder] = await next<[string]>(child, "message", 60_000);
  assert.ok((await processesWith(folder)).length > 1);
  child.kill("SIGKILL");
  await once(child, "exit");
  await assertNothingLeft(folder, { groups: false });
  // Its files are the next one's to remove.
  await using engine = await Engine.start();
  assert.equal(existsSync(folder), false);
  assert.deepEqual(groupsOf(folder), []);
  assert.ok(engine.folder !== folder);
});

async function assertNothingLeft(folder: string, { groups = true } = {}): Promise<void> {
  const deadline = performance.now() + 10_000;
  let left = await processesWith(folder);
  while (left.length > 0 && performance.now() < deadline) left = await processesWith(folder);
  assert.deepEqual(left, []);
  assert.equal((await readFile("/proc/mounts", "utf8")).includes(folder), false);
  if (groups) assert.deepEqual(groupsOf(folder), []);
}

function groupsOf(folder: string): string[] {
  const name = basename(folder);
  return globSync([`/sys/fs/cgroup/${name}`, `/sys/fs/cgroup/*/${name}`]);
}

async function untilResponse(url: string): Promise<string> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    try {
      const response = await fetch(url, { headers: { connection: "close" } });
      return await response.text();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}
