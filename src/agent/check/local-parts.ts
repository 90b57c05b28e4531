/** What else an agent needs on its machine: a Docker Engine, and the addresses that a relay listens on. */
import { access, constants } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { errorCodeOf, toError } from "../../wire/errors.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";
import { parseEngineUrl } from "../discovery/engine-url.ts";
import { connectTarget } from "../targets/connect-target.ts";
import { addressText } from "../targets/targets.ts";
import { formatListenAddress, parseListenAddress } from "../relay/listen-address.ts";
import type { ListenAddress } from "../relay/listen-address.ts";
import type { CheckContext } from "./context.ts";
import { inTime } from "./in-time.ts";
import { CHECK_CONNECT_TIMEOUT_MS, CHECK_TARGET_TIMEOUT_MS } from "./limits.ts";
import { errnoOf } from "./path/remedies.ts";

const DOCKER: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket: install or start the Docker Engine, or correct --docker",
  EACCES: "the agent's user may not open the socket: add it to the group docker",
  ECONNREFUSED: "nothing listens there: start the Docker Engine, or correct --docker",
};

/** The engine's list of labelled containers, as discovery requests it. */
export async function checkDocker({ findings, maxStepMs, options, signal }: CheckContext): Promise<void> {
  const { docker } = options;
  if (docker === undefined) return;
  const address = parseEngineUrl(docker);
  const at = addressText(address);
  const startedMs = performance.now();
  try {
    // Loaded on demand: only an agent with --docker has it.
    const { openEngine } = await import("../discovery/docker-engine.ts");
    const step = { label: "docker", timeoutMs: Math.min(CHECK_TARGET_TIMEOUT_MS, maxStepMs), signal };
    const { containers } = await inTime(step, (limit) => openEngine(address).list(limit));
    const count = containers.length;
    findings.ok(
      "docker",
      at,
      `${count} labelled container${count === 1 ? "" : "s"}`,
      performance.now() - startedMs,
    );
  } catch (error) {
    const remedy = DOCKER[errnoOf(error) ?? ""] ?? "check that a Docker Engine listens there";
    findings.fail("docker", at, toError(error).message, remedy);
  }
}

/** The addresses of `--listen`: taken by a relay that runs, or free. */
export async function checkRelay({ findings, options: { listen = [] } }: CheckContext): Promise<void> {
  await Promise.all(
    listen.map(async (text) => {
      const address = parseListenAddress(text);
      const at = formatListenAddress(address);
      try {
        if (await isServed(address))
          return findings.ok("relay", at, "something listens there already, perhaps this relay");
        await (address.kind === "unix"
          ? access(path.dirname(address.path), constants.W_OK)
          : tryListening(address));
        return findings.ok("relay", at, "free");
      } catch (error) {
        const remedy = systemErrorHint(error, "address") ?? "check the address in --listen";
        return findings.fail("relay", at, errorCodeOf(error) ?? toError(error).message, remedy);
      }
    }),
  );
}

function isServed(address: ListenAddress): Promise<boolean> {
  if (address.kind === "tcp" && address.port === 0) return Promise.resolve(false);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  connectTarget(
    address,
    "relay",
    (error, socket) => {
      socket.destroy();
      resolve(error === undefined);
    },
    CHECK_CONNECT_TIMEOUT_MS,
  );
  return promise;
}

function tryListening({ host, port }: { host: string; port: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = net.createServer((socket) => socket.destroy());
  server.once("error", reject);
  server.listen({ host, port }, () => server.close(() => resolve()));
  return promise;
}
