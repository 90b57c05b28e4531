/** The command lines and probes of compose/kubernetes, run as they stand: only addresses and paths are this machine's. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import type { IContainer } from "kubernetes-models/v1/Container";
import { MAX_UNREAD_BYTES } from "../../src/control/shares/limits.ts";
import { Command, run } from "../support/commands.ts";
import { call, runnersUntil, targetUrl } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { startHttpTarget } from "../support/target.ts";
import { tempPath } from "../support/temp.ts";
import { agent, controlPlane, strategy, wolf, wolfHost } from "./kubernetes-workloads.ts";

afterEach(() => assertNothingOpen());

test("the control plane and the agent of pod host-0 find each other", async () => {
  const folder = tempPath("");
  mkdirSync(folder);
  const host = await makeToken("host-0", "runner", "--runner", "wolf-host-0", "--runner", "moonlight-host-0");
  writeFileSync(join(folder, "host-0.token"), host.token);
  writeFileSync(join(folder, "tokens.json"), `{ "tokens": [${host.entry}] }`);
  writeFileSync(join(folder, "moonlight-credentials"), "secret");
  await using wolfTarget = await startHttpTarget((_request, response) => response.end("wolf"), {
    on: "unix",
  });
  await using moonlight = await startHttpTarget((_request, response) => response.end("moonlight"));

  await using serve = new Command(
    "turnabout",
    here(controlPlane.container, [
      ["--port=8080", "--port=0"],
      ["/var/lib/turnabout", join(folder, "data")],
      ["/etc/turnabout/tokens.json", join(folder, "tokens.json")],
      ["/etc/turnabout/moonlight-credentials", join(folder, "moonlight-credentials")],
    ]),
    { env: { TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN } }, // the test's own, to look around
  );
  const { port } = await serve.logged("control plane listens");
  const url = `http://127.0.0.1:${Number(port)}`;
  await using paired = new Command(
    "turnabout",
    here(agent, [
      ["$(POD_NAME)", "host-0"],
      ["http://control-plane.turnabout.svc.cluster.local", url],
      ["/etc/turnabout/", `${folder}/`],
      ["unix:/var/run/wolf/wolf.sock", wolfTarget.address],
      ["unix:/run/inner-docker/docker.sock", "unix:/nonexistent/docker.sock"],
      ["127.0.0.1:8080", moonlight.address],
      ["unix:///run/inner-docker/docker.sock", `unix://${join(folder, "docker.sock")}`], // nobody is there yet: it tries again
    ]),
  );
  await paired.logged("connected");
  const runners = await runnersUntil(
    url,
    (list) => list.length === 2 && list.every(({ state }) => state === "connected"),
    "both runners of the pod",
  );
  assert.deepEqual(runners.map(({ id }) => id).toSorted(), ["moonlight-host-0", "wolf-host-0"]);
  assert.equal((await call(targetUrl(url, "wolf-host-0", "wolf"))).body, "wolf");
  assert.equal((await call(targetUrl(url, "moonlight-host-0", "moonlight"))).body, "moonlight");

  const { startupProbe, livenessProbe, readinessProbe } = controlPlane.container;
  for (const probe of [startupProbe, livenessProbe, readinessProbe]) {
    const { path = assert.fail("a probe by HTTP"), port } = probe?.httpGet ?? {};
    assert.equal(port, "http");
    assert.equal((await call(url + path, { token: null })).status, 200, path);
  }
  // Both drain and end within what the pods give them.
  for (const command of [paired, serve]) assert.equal((await command.end()).code, 0);
});

test("one process writes the store, and holds the port for its successors", () => {
  assert.deepEqual(strategy, { type: "Recreate" });
  assert.ok(controlPlane.container.args?.includes("--supervise"));
});

test("the agent has no probe; Wolf's is of its socket, where the agent looks for it", () => {
  for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"] as const)
    assert.equal(agent[probe], undefined);
  const target = agent.args?.find((arg) => arg.startsWith("--target=wolf=unix:"))?.split("unix:")[1] ?? "";
  assert.ok(wolf.startupProbe?.exec?.command?.includes(`unix:${target}:/api/v1/apps`));
  const mounted = (container: IContainer) =>
    container.volumeMounts?.find(({ mountPath }) => target.startsWith(`${mountPath}/`))?.name;
  assert.ok(mounted(agent));
  assert.equal(mounted(agent), mounted(wolf));
});

test("the pods give the drain the time that it takes", () => {
  const drainS = ({ args = [] }: IContainer) =>
    Number(args.find((arg) => arg.startsWith("--drain="))?.slice("--drain=".length));
  const [sleep, preStopS] = controlPlane.container.lifecycle?.preStop?.exec?.command ?? [];
  assert.equal(sleep, "sleep");
  assert.ok(Number(preStopS) >= 5, "time for the endpoints");
  assert.ok(
    (controlPlane.pod.terminationGracePeriodSeconds ?? 0) > Number(preStopS) + drainS(controlPlane.container),
  );
  assert.ok((wolfHost.terminationGracePeriodSeconds ?? 0) > drainS(agent));
});

test("the control plane has more memory than may wait for callers that do not read", () => {
  const limit = String(controlPlane.container.resources?.limits?.["memory"]);
  assert.match(limit, /^\d+Gi$/);
  assert.ok(Number.parseInt(limit, 10) * 1024 ** 3 > MAX_UNREAD_BYTES);
});

/** A container's arguments with these texts replaced; each has to be there, or the manifest says something else. */
function here({ args = [] }: IContainer, replacements: readonly (readonly [string, string])[]): string[] {
  for (const [from] of replacements) assert.ok(args.join(" ").includes(from), `${from} in ${args.join(" ")}`);
  return args.map((arg) => replacements.reduce((text, [from, to]) => text.replace(from, to), arg));
}

async function makeToken(
  id: string,
  kind: string,
  ...rest: string[]
): Promise<{ token: string; entry: string }> {
  const { code, stdout, stderr } = await run("turnabout", ["token", "--id", id, "--kind", kind, ...rest]);
  assert.equal(code, 0, stderr);
  const [token = "", entry = ""] = stdout.split("\n");
  return { token, entry };
}
