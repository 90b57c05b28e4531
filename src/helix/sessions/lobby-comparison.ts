/** An instance's lobbies against the sessions that the store has on it, in both directions: the lobbies decide. */
import { toError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import type { Session, SessionStore } from "../store/sessions.ts";
import type { Lobbies, Lobby } from "./lobbies.ts";
import type { SessionEvent } from "./session-event.ts";

export interface ComparisonContext {
  store: SessionStore;
  /** Id of the store: marks lobbies of this control plane. */
  storeId: string;
  lobbies: (instanceId: string) => Lobbies;
  log: Logger;
  /** Whether a creation of this process waits for Wolf: the session is left alone. */
  isCreating(sessionId: string): boolean;
  end(session: Session, reason: string): void;
  emit(type: Exclude<SessionEvent["type"], "session-ended">, session: Session): void;
}

/** @throws Error if a request to Wolf failed, or Wolf did not do what was requested */
export async function compareLobbies(instanceId: string, context: ComparisonContext): Promise<void> {
  // Only sessions that existed before the list was requested can be judged by it.
  const before = context.store.onInstance(instanceId).filter(({ id }) => !context.isCreating(id));
  const lobbies = context.lobbies(instanceId);
  const found = await lobbies.list();
  const failures: Error[] = [];
  const attempt = async (work: Promise<void>): Promise<void> => {
    await work.catch((error: unknown) => void failures.push(toError(error)));
  };
  for (const session of before) {
    const lobby = found.find(({ id, name }) => id === session.lobbyId || name === session.id);
    await attempt(judge(session, lobby, lobbies, context));
  }
  for (const lobby of found) if (isOrphan(lobby, context)) await attempt(stopOrphan(lobby, lobbies, context));
  const [first] = failures;
  if (first !== undefined) throw first;
}

async function judge(
  session: Session,
  lobby: Lobby | undefined,
  lobbies: Lobbies,
  context: ComparisonContext,
): Promise<void> {
  const { store, log } = context;
  if (store.get(session.id) === undefined) return;
  const isStopping = session.state === "stopping";
  if (lobby === undefined) {
    return context.end(session, (isStopping ? session.reason : undefined) ?? "its lobby is gone");
  }
  if (isStopping) {
    await lobbies.stop(lobby.id);
    return context.end(session, session.reason ?? "deleted");
  }
  if (session.state === "running") return;
  const wasLost = session.state === "lost";
  store.update(session, { lobbyId: lobby.id, state: "running", reason: undefined });
  context.emit(wasLost ? "session-back" : "session-created", session);
  log.info(
    { session: session.id, instance: session.instanceId },
    wasLost ? "session recovered" : "session adopted",
  );
}

/** Created for a session that has ended: Wolf was still creating it when its lobbies were listed. */
function isOrphan({ name, madeBy }: Lobby, { store, storeId }: ComparisonContext): boolean {
  return madeBy === storeId && store.get(name) === undefined;
}

async function stopOrphan({ id, name }: Lobby, lobbies: Lobbies, { log }: ComparisonContext): Promise<void> {
  log.warn({ session: name, lobby: id }, "stopping a lobby whose session has ended");
  await lobbies.stop(id);
}
