/**
 * The two-level system on one machine: a control plane, the doubles of Wolf and Moonlight Web behind one agent, and a
 * sandbox's screenshot server behind another. The pieces are the real ones; only Wolf and Moonlight Web are doubles.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAgent } from "../agent/agent.ts";
import { createControlPlane } from "../control/control-plane.ts";
import type { ControlPlane } from "../control/control-plane.ts";
import { helix } from "../helix/helix.ts";
import { errorCodeOf } from "../wire/errors.ts";
import type { Logger } from "../wire/log.ts";
import { LobbySandboxes } from "./lobby-sandboxes.ts";
import { createMoonlightDouble } from "./moonlight/double.ts";
import { SCREENSHOT_PORT } from "./sandbox/limits.ts";
import { startSandboxDisplay } from "./sandbox/start.ts";
import type { SandboxDisplay } from "./sandbox/start.ts";
import { createWolfDouble } from "./wolf/double.ts";

export const DEMO_RUNNERS = { wolf: "wolf-local", moonlight: "moonlight-local", sandbox: "sandbox-ses_demo" };

export interface DemoOptions {
  port: number;
  host?: string | undefined;
  adminToken: string;
  log: Logger;
}

export interface DemoSystem {
  controlPlane: ControlPlane;
  /** What the sandbox shows: a real Sway, or a small picture where none is installed. */
  display: SandboxDisplay;
  close(): Promise<void>;
}

/** Resolves when all three runners are connected. */
export async function startDemo(options: DemoOptions): Promise<DemoSystem> {
  const { log, adminToken } = options;
  const stack = new AsyncDisposableStack();
  try {
    const moonlightCredentials = randomBytes(16).toString("hex");
    const controlPlane = stack.use(
      await createControlPlane({
        port: options.port,
        host: options.host,
        adminToken,
        extensions: [helix({ moonlightCredentials })],
        log,
        readyWhenConnected: Object.values(DEMO_RUNNERS),
        drainMs: 2_000,
      }),
    );
    const folder = await mkdtemp(join(tmpdir(), "turnabout-demo-"));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const wolf = stack.use(await createWolfDouble({ socketPath: join(folder, "wolf.sock") }));
    const moonlight = stack.use(await createMoonlightDouble({ credentials: moonlightCredentials }));
    const display = stack.use(await startDisplay(log));

    const server = `http://${loopback(options.host)}:${controlPlane.port}`;
    const token = { value: adminToken };
    stack.use(
      await LobbySandboxes.start({ wolfSocket: wolf.socketPath, server, displayPort: display.port, log }),
    );
    const level1 = stack.use(
      createAgent({
        server,
        token,
        log,
        drainMs: 2_000,
        runners: {
          [DEMO_RUNNERS.wolf]: { wolf: `unix:${wolf.socketPath}` },
          [DEMO_RUNNERS.moonlight]: { moonlight: `127.0.0.1:${moonlight.port}` },
        },
      }),
    );
    const level2 = stack.use(
      createAgent({
        server,
        token,
        log,
        drainMs: 2_000,
        runners: { [DEMO_RUNNERS.sandbox]: { screenshot: `127.0.0.1:${display.port}` } },
      }),
    );
    await Promise.all([level1.connected(), level2.connected()]);
    return { controlPlane, display, close: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** The sandbox's own port where it is free, as in its container. */
async function startDisplay(log: Logger): Promise<SandboxDisplay> {
  const options = { host: "127.0.0.1", log: (line: string) => log.info({}, line) };
  try {
    return await startSandboxDisplay({ ...options, port: SCREENSHOT_PORT });
  } catch (error) {
    if (errorCodeOf(error) !== "EADDRINUSE") throw error;
    log.warn({ port: SCREENSHOT_PORT }, "port is in use; the sandbox takes a free one");
    return startSandboxDisplay({ ...options, port: 0 });
  }
}

function loopback(host: string | undefined): string {
  if (host === undefined || host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
