/** A whole system whose agent serves the doubles of Wolf and Moonlight Web. */
import { createMoonlightDouble } from "../../src/demo/moonlight/double.ts";
import type { MoonlightDouble } from "../../src/demo/moonlight/double.ts";
import { createWolfDouble } from "../../src/demo/wolf/double.ts";
import type { WolfDouble, WolfDoubleOptions } from "../../src/demo/wolf/double.ts";
import { via } from "./callers.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { startSystem } from "./system.ts";
import type { System, SystemOptions } from "./system.ts";
import { tempPath } from "./temp.ts";

export const WOLF_RUNNER = "wolf-local";
export const MOONLIGHT_RUNNER = "moonlight-local";
export const MOONLIGHT_CREDENTIALS = "helix";

export interface DoubleSystem extends AsyncDisposable {
  readonly system: System;
  readonly wolf: WolfDouble;
  readonly moonlight: MoonlightDouble;
}

export async function startDoubles(
  options: Omit<SystemOptions, "target" | "agents"> & { wolf?: Partial<WolfDoubleOptions> } = {},
): Promise<DoubleSystem> {
  const wolf = await createWolfDouble({ socketPath: tempPath(), ...options.wolf });
  closedAtTheEnd(() => wolf.close());
  const moonlight = await createMoonlightDouble({
    credentials: MOONLIGHT_CREDENTIALS,
    pairDelayMs: 60_000,
  });
  closedAtTheEnd(() => moonlight.close());
  const system = await startSystem({ ...options, agents: 0 });
  await system.addAgent({
    [WOLF_RUNNER]: { wolf: `unix:${wolf.socketPath}` },
    [MOONLIGHT_RUNNER]: { moonlight: `127.0.0.1:${moonlight.port}` },
  });
  return {
    system,
    wolf,
    moonlight,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([wolf.close(), moonlight.close()]);
      await system.close();
    },
  };
}

/** Path of the API route to Wolf, to Moonlight Web. */
export function viaWolf(path: string): string {
  return via(path, "wolf", WOLF_RUNNER);
}
export function viaMoonlight(path: string): string {
  return via(path, "moonlight", MOONLIGHT_RUNNER);
}
