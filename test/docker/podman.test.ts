/** Discovery with Podman, whose events come late, out of order, doubled and under other names. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startSystem } from "../support/system.ts";
import type { System } from "../support/system.ts";
import { churn } from "./churn.ts";
import { Podman, podmanCannot } from "./podman.ts";

const IMAGE = "localhost/turnabout-busybox:latest";
const SECONDS_MS = 1_000;
/** Podman's list waits for every container that is just being started or stopped, and is as old as that by then. */
const LAG_MS = 5 * SECONDS_MS;

describe("the containers of Podman", { skip: podmanCannot() }, () => {
  let podman: Podman;
  let system: System;

  before(async () => {
    podman = await Podman.start();
    const root = join(podman.folder, "image");
    await mkdir(join(root, "bin"), { recursive: true });
    await copyFile("/bin/busybox", join(root, "bin/busybox"));
    const tar = spawn("tar", ["-C", root, "-c", "."], { stdio: ["ignore", "pipe", "inherit"] });
    const response = await podman.docker.importImage(tar.stdout, {
      repo: "localhost/turnabout-busybox",
      tag: "latest",
    });
    response.resume();
    await next(response, "end", 60 * SECONDS_MS);
    system = await startSystem({ agents: 0 });
    await system.addAgent([{ id: "host-1", targets: [] }], {
      docker: `unix://${podman.socketPath}`,
      discoverHostNetwork: true,
    });
  });

  after(async () => {
    await system.close();
    await podman[Symbol.asyncDispose]();
    await assertNothingOpen();
  });

  const announced = (): string[] =>
    system.controlPlane
      .runners()
      .filter(({ id, state }) => id.startsWith("sandbox-") && state === "connected")
      .map(({ id }) => id);

  it("started and stopped at random: exactly those that run are announced, as soon as its list has them", async (test) => {
    const report = await churn({
      docker: podman.docker,
      image: IMAGE,
      command: ["/bin/busybox", "sleep", "1000"],
      count: 5,
      durationMs: 30 * SECONDS_MS,
      lagMs: LAG_MS,
      announced,
    });
    test.diagnostic(JSON.stringify(report));
    assert.deepEqual(report.wrong, []);
    assert.ok(
      report.longestLagMs <= LAG_MS && report.starts >= 5 && report.stops >= 5,
      JSON.stringify(report),
    );
    await eventually(() => announced().length === 0, "the end of all");
  });

  it("in the host's network are announced, although its list does not show that", async () => {
    const container = await podman.docker.createContainer({
      Image: IMAGE,
      Cmd: ["/bin/busybox", "sleep", "1000"],
      Labels: { "turnabout.runner": "sandbox-host", "turnabout.target.x": "80" },
      HostConfig: { NetworkMode: "host" },
    });
    await container.start();
    await eventually(() => announced().includes("sandbox-host"), "the container");
    await container.remove({ force: true });
    await eventually(() => announced().length === 0, "its end");
  });
});
