/** dockerode over createHttpAgent() and by createDockerClient(), to a Docker API on a Unix socket behind an agent. */
import assert from "node:assert/strict";
import Docker from "dockerode";
import type http from "node:http";
import type { Duplex, Readable } from "node:stream";
import { afterEach, it } from "node:test";
import { createDockerClient } from "../../../src/clients/docker.ts";
import { createHttpAgent } from "../../../src/index.ts";
import { startDockerDouble } from "../../support/docker.ts";
import type { DockerDouble } from "../../support/docker.ts";
import { ending, eventually, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

async function withDocker(keepAlive: boolean, run: (docker: Docker, double: DockerDouble) => Promise<void>) {
  const target = await startDockerDouble();
  await using system = await startSystem({ target });
  const agent = createHttpAgent(system.controlPlane.dial, RUNNER, TARGET, { keepAlive });
  // The published types do not know `agent`, which docker-modem hands on to node.
  const options: Docker.DockerOptions & { agent: http.Agent } = { protocol: "http", host: "docker", agent };
  try {
    await within(run(new Docker(options), target), "Docker");
  } finally {
    agent.destroy();
  }
}

for (const keepAlive of [false, true]) {
  const how = keepAlive ? "with kept-alive streams" : "with a stream for each request";

  it(`gets info and lists containers ${how}`, () =>
    withDocker(keepAlive, async (docker) => {
      for (let n = 1; n <= 3; n += 1) {
        assert.equal(((await docker.info()) as { ID: string }).ID, "double");
        const [container] = await docker.listContainers();
        assert.deepEqual([container?.Id, container?.Labels], ["c0ffee", { x: "ä" }]);
      }
    }));

  it(`gets an error ${how}`, () =>
    withDocker(keepAlive, async (docker) => {
      await assert.rejects(docker.getContainer("none").inspect(), { statusCode: 404 });
    }));

  it(`sends a command its input by hijack, ends it, and reads on ${how}`, () =>
    withDocker(keepAlive, async (docker) => {
      const exec = await docker.getContainer("c0ffee").exec({ Cmd: ["cat"], AttachStdin: true });
      const stream: Duplex = await exec.start({ hijack: true, stdin: true, Tty: true });
      const end = ending(stream);
      stream.write("größe ");
      stream.end("and more"); // the double responds only after this
      const { kind, data } = await end;
      assert.deepEqual([kind, data.toString()], ["end", "read größe and more"]);
      assert.equal((await exec.inspect()).ExitCode, 0);
    }));

  it(`follows events as they come, until it leaves ${how}`, () =>
    withDocker(keepAlive, async (docker, double) => {
      const events = (await docker.getEvents()) as Readable;
      for (const Action of ["start", "die"]) {
        const event = next<[Buffer]>(events, "data");
        double.emit({ Type: "container", Action });
        assert.deepEqual(JSON.parse(String((await event)[0])), { Type: "container", Action });
      }
      events.on("error", () => {});
      events.destroy();
      await eventually(() => double.sockets.size === 0, "the engine's connection closed");
    }));
}

it("sends no request where an engine's redirect leads", async () => {
  let location = "";
  await using engine = await startHttpTarget((_request, response) => {
    response.writeHead(302, { location }).end();
  });
  const visited: string[] = [];
  await using elsewhere = await startHttpTarget((request, response) => {
    visited.push(request.url ?? "");
    response.end("{}");
  });
  await using system = await startSystem({ target: engine });
  const docker = createDockerClient(system.controlPlane.dial, RUNNER, TARGET);
  // Beside another host, ones at which a client that follows them ends its process.
  for (location of [
    `http://${elsewhere.address}/latest/meta-data`,
    "http://127.0.0.1:1/",
    "file:///etc/passwd",
    "/info",
    "",
  ]) {
    await assert.rejects(docker.info(), { statusCode: 302 }, location);
    await assert.rejects(docker.getContainer("x").start(), { statusCode: 302 }, location);
  }
  assert.equal(
    (await fetch(`http://${elsewhere.address}/last`, { headers: { connection: "close" } })).status,
    200,
  );
  assert.deepEqual(visited, ["/last"]);
});

it("is made by createDockerClient(), whatever DOCKER_HOST is", async () => {
  const target = await startDockerDouble();
  await using system = await startSystem({ target });
  for (const host of ["tcp://127.0.0.1:1", "unix:///nowhere", "not a url at all:"]) {
    process.env["DOCKER_HOST"] = host;
    try {
      const docker = createDockerClient(system.controlPlane.dial, RUNNER, TARGET);
      assert.equal(((await docker.info()) as { ID: string }).ID, "double");
      assert.equal(process.env["DOCKER_HOST"], host);
    } finally {
      delete process.env["DOCKER_HOST"];
    }
  }
});
