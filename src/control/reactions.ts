/** What happens on an event of a runner, and on a change of tokens. */
import { Guard } from "../wire/streams/guard.ts";
import { applyTokenChange } from "./admission/token-changes.ts";
import { isNarrowed } from "./auth/identity.ts";
import type { Settings } from "./options.ts";
import type { Parts } from "./parts.ts";
import { REMEMBER_AGAIN_MS } from "./store/known-runners.ts";

/**
 * Logs, counts and reports every event. Of the runners of one credential a limited number is logged; that they are connected is in the
 * line about their agent's connection already, while that is being enrolled.
 */
export function reportEvents(
  { agentBudgets, bus, metrics, registry }: Parts,
  { log, onEvent }: Settings,
): void {
  bus.subscribe((event) => {
    const credential = "runner" in event ? registry.credentialOf(event.runner) : undefined;
    const budget = credential === undefined ? undefined : agentBudgets.of(credential);
    const fields = { ...event, credential };
    if (event.type === "connected" && budget?.isEnrolling === true) log.debug(fields, "event");
    else (budget?.log ?? log).info(fields, "event");
    if (!("left" in event)) metrics.agentEvents.inc({ event: event.type });
    else if (event.type === "lost") metrics.agentEvents.inc({ event: "left" });
    if ("runner" in event) onEvent?.(event);
  });
}

/**
 * Remembers who is connected, and expects those back that were before this process started.
 *
 * @returns stops it
 */
export function rememberRunners(parts: Parts, { warmUpMs }: Settings): () => void {
  const { bus, knownRunners, registry } = parts;
  const unsubscribe = bus.subscribe((event) => {
    if (!("runner" in event)) return;
    if (event.type === "connected") knownRunners.seen(event.runner, registry.holderOf(event.runner));
    else if (event.type === "lost") knownRunners.stillThere([event.runner]);
  });
  const connected = (): string[] =>
    registry
      .list()
      .filter(({ state }) => state === "connected")
      .map(({ id }) => id);
  knownRunners.onRecreate(() => connected().map((id) => ({ id, credential: registry.holderOf(id) })));
  for (const { id, credential } of knownRunners.recent()) registry.expectReturn(id, credential, warmUpMs);
  const timer = setInterval(() => knownRunners.stillThere(connected()), REMEMBER_AGAIN_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    unsubscribe();
  };
}

/** Closes what a changed token no longer covers, and takes up what it covers now. */
export function followTokenChanges(parts: Parts, { log }: Settings): void {
  const { activeStreams, agentBudgets, openConnections, registry, signIns, tokens } = parts;
  const context = { agentBudgets, registry, tokens, log };
  tokens.onChange(() => {
    for (const connection of openConnections) {
      // One that cannot be handled is closed: it must not keep what its token no longer covers.
      const guard = new Guard((error) => connection.destroy(error.message));
      guard.run(() => applyTokenChange(connection, context));
    }
    activeStreams.closeRevoked((identity) => {
      // What it may do is the other node's decision, and what has been revoked here is revoked.
      if (identity.node !== undefined) return !tokens.hasRevoked(identity);
      const current = tokens.current(identity);
      return current !== undefined && !isNarrowed(current, identity);
    });
  });
  signIns.onEnd(() => {
    activeStreams.closeRevoked((identity) => signIns.isOpen(identity), "the sign-in has ended");
  });
}
