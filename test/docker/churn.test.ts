/** Discovery with a real engine: the control plane has the containers that run, also while the engine is restarted. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createDockerClient } from "../../src/clients/docker.ts";
import type { Duplex, Readable } from "node:stream";
import { PassThrough } from "node:stream";
import { keptLog } from "../support/agents.ts";
import { ending, eventually, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startSystem } from "../support/system.ts";
import type { System } from "../support/system.ts";
import { importBusybox } from "./busybox.ts";
import { churn, LAG_MS } from "./churn.ts";
import { Engine, engineCannot } from "./engine.ts";

describe("the containers of a real engine", { skip: engineCannot() }, () => {
  let engine: Engine;
  let system: System;
  let image: string;

  before(async () => {
    engine = await Engine.start();
    image = await importBusybox(engine);
    system = await startSystem({ agents: 0 });
    await system.addAgent(
      [
        {
          id: "host-1",
          targets: [{ name: "docker", address: { kind: "unix", path: engine.socketPath }, http: "auto" }],
        },
      ],
      {
        docker: `unix://${engine.socketPath}`,
        log: keptLog().log,
      },
    );
  });

  after(async () => {
    await system.close();
    await engine[Symbol.asyncDispose]();
    await assertNothingOpen();
  });

  const announced = (): string[] =>
    system.controlPlane
      .runners()
      .filter(({ id, state }) => id.startsWith("sandbox-") && state === "connected")
      .map(({ id }) => id);

  it("20 of them, started and stopped at random for half a minute: exactly those that run are announced, within 2 s", async (test) => {
    const report = await churn({
      docker: engine.docker,
      image,
      command: ["busybox", "sleep", "1000"],
      count: 20,
      durationMs: 30_000,
      announced,
    });
    test.diagnostic(JSON.stringify(report));
    assert.deepEqual(report.wrong, []);
    assert.ok(
      report.longestLagMs <= LAG_MS && report.starts >= 20 && report.stops >= 20,
      JSON.stringify(report),
    );
    await eventually(() => announced().length === 0, "the end of all");
  });

  it("are withdrawn while they are paused, and follow their networks", async () => {
    await engine.command("docker", ["network", "create", "other"]);
    const labels = [
      "-l",
      "turnabout.runner=sandbox-net",
      "-l",
      "turnabout.target.x=80",
      "-l",
      "turnabout.network=other",
    ];
    await engine.command("docker", [
      "run",
      "-d",
      "--name",
      "net",
      ...labels,
      image,
      "busybox",
      "sleep",
      "1000",
    ]);
    const isThere = (): boolean => announced().includes("sandbox-net");
    assert.ok(!isThere(), "not in that network yet");
    await engine.command("docker", ["network", "connect", "other", "net"]);
    await eventually(isThere, "its network");
    await engine.command("docker", ["pause", "net"]);
    await eventually(() => !isThere(), "the pause");
    await engine.command("docker", ["unpause", "net"]);
    await eventually(isThere, "its return");
    await engine.command("docker", ["rm", "-f", "net"]);
    await eventually(() => !isThere(), "its end");
  });

  it("can be entered by dockerode over the tunnel: exec with both outputs and a status, events, logs", async () => {
    const docker = createDockerClient(system.controlPlane.dial, "host-1");
    const script = "while true; do echo tick; busybox sleep 0.1; done";
    const container = await docker.createContainer({ Image: image, Cmd: ["busybox", "sh", "-c", script] });
    const events = (await docker.getEvents({ filters: { container: [container.id] } })) as Readable;
    const started = next<[Buffer]>(events, "data");
    await container.start();
    assert.equal((JSON.parse(String((await started)[0])) as { Action: string }).Action, "start");
    events.on("error", () => {}); // permanently
    events.destroy();

    const exec = await container.exec({
      Cmd: ["busybox", "sh", "-c", "read line; echo out $line; echo err >&2; exit 7"],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    const stream: Duplex = await exec.start({ hijack: true, stdin: true });
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const [out, err] = [ending(stdout), ending(stderr)];
    docker.modem.demuxStream(stream, stdout, stderr);
    stream.once("end", () => {
      stdout.end();
      stderr.end();
    });
    stream.end("größe\n");
    assert.deepEqual([(await out).data.toString(), (await err).data.toString()], ["out größe\n", "err\n"]);
    assert.equal((await exec.inspect()).ExitCode, 7);

    const logs = (await container.logs({ follow: true, stdout: true })) as unknown as Readable;
    const first = String((await next<[Buffer]>(logs, "data"))[0]);
    assert.match(first, /tick/);
    await next(logs, "data");
    logs.on("error", () => {}); // permanently
    logs.destroy();
    await container.remove({ force: true });
    await assert.rejects(container.inspect(), { statusCode: 404 });
  });
});
