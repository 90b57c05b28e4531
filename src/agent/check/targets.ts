/** The targets as the agent reaches them: each is connected to, and the connection closed without a byte. */
import net from "node:net";
import type { TurnaboutError } from "../../wire/errors.ts";
import { targetHint } from "../../wire/system/target-hints.ts";
import { connectTarget } from "../targets/connect-target.ts";
import { addressText } from "../targets/targets.ts";
import type { Target, TargetAddress } from "../targets/targets.ts";
import type { CheckContext } from "./context.ts";
import { CHECK_TARGET_TIMEOUT_MS, CHECKED_TARGETS_AT_ONCE } from "./limits.ts";

const OUT_OF_TIME = "not reached in the time of the check";

interface Named {
  label: string;
  address: TargetAddress;
}

export async function checkTargets(context: CheckContext): Promise<void> {
  const all = context.options.runners.flatMap(({ id, targets }) =>
    targets.map(({ name, address }: Target): Named => ({ label: `${id}/${name}`, address })),
  );
  const named = all.filter(({ address }) => hasName(address));
  const others = all.filter(({ address }) => !hasName(address));
  await Promise.all([inTurn(named, 1, context), inTurn(others, CHECKED_TARGETS_AT_ONCE, context)]);
}

function hasName(address: TargetAddress): boolean {
  return (
    address.kind === "tcp" && net.isIP(address.host.replace(/%.*$/, "")) === 0 && address.host !== "localhost"
  );
}

async function inTurn(targets: readonly Named[], atOnce: number, context: CheckContext): Promise<void> {
  const rest = targets.values();
  const workers = Array.from({ length: atOnce }, async () => {
    for (const target of rest) await checkTarget(target, context);
  });
  await Promise.all(workers);
}

async function checkTarget({ label, address }: Named, context: CheckContext): Promise<void> {
  const { findings, signal } = context;
  if (signal.aborted) return findings.skip("target", label, OUT_OF_TIME);
  const timeoutMs = Math.min(CHECK_TARGET_TIMEOUT_MS, context.maxStepMs);
  const at = addressText(address);
  const startedMs = performance.now();
  const error = await connect(address, label, { signal, timeoutMs });
  if (signal.aborted) return findings.skip("target", label, OUT_OF_TIME);
  if (error === undefined) return findings.ok("target", label, at, performance.now() - startedMs);
  const what = error.errno ?? `no connection within ${timeoutMs / 1_000} s`;
  return findings.fail("target", label, `${at}: ${what}`, explain(address, error));
}

function connect(
  address: TargetAddress,
  label: string,
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<TurnaboutError | undefined> {
  const { promise, resolve } = Promise.withResolvers<TurnaboutError | undefined>();
  const done = (error: TurnaboutError | undefined, socket: net.Socket): void => {
    socket.destroy();
    resolve(error);
  };
  const cancel = connectTarget(address, label, done, timeoutMs);
  const onAbort = (): void => {
    cancel();
    resolve(undefined);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}

function explain({ kind }: TargetAddress, { code, errno }: TurnaboutError): string {
  const other = kind === "unix" ? "check the path in --target" : "check host and port in --target";
  return targetHint(code, errno, kind) ?? other;
}
