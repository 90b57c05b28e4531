/** Who may reach what, where that depends on more than the credential itself: sessions have owners. */
import { TurnaboutError } from "../../wire/errors.ts";
import { HelixError } from "../errors.ts";
import { isSessionId, sessionOfRunner } from "../ids.ts";
import type { Session, SessionStore } from "../store/sessions.ts";
import { ADMIN_TARGETS } from "../../control/auth/identity.ts";
import type { Identity } from "../../control/auth/identity.ts";

export class Policy {
  readonly #sessions: SessionStore;

  constructor(sessions: SessionStore) {
    this.#sessions = sessions;
  }

  owns(identity: Identity, session: Session): boolean {
    return identity.mayAdminister || (identity.owner !== undefined && identity.owner === session.owner);
  }

  /** To whoever may not see it, a session that exists looks like one that does not. @throws HelixError `session_unknown` */
  session(identity: Identity, id: string): Session {
    const session = isSessionId(id) ? this.#sessions.get(id) : undefined;
    if (session === undefined || !this.owns(identity, session)) {
      throw new HelixError("session_unknown", `session ${JSON.stringify(id.slice(0, 100))} is not known`);
    }
    return session;
  }

  /** As {@link session}, for reaching it: one that is being stopped is gone already. @throws HelixError `session_unknown` */
  openSession(identity: Identity, id: string): Session {
    const session = this.session(identity, id);
    if (session.state !== "stopping") return session;
    throw new HelixError("session_unknown", `session ${session.id} is being stopped`);
  }

  /** By the credential's own grant, or because the runner is the sandbox of a session that the user owns. */
  mayDial(identity: Identity, runner: string, target: string): boolean {
    if (identity.mayDial(runner, target)) return true;
    if (ADMIN_TARGETS.has(target)) return false;
    const id = sessionOfRunner(runner);
    const session = id === undefined ? undefined : this.#sessions.get(id);
    return session !== undefined && session.state !== "stopping" && this.owns(identity, session);
  }

  /** @throws TurnaboutError `not_allowed` */
  requireAdmin(identity: Identity, what: string): void {
    if (!identity.mayAdminister) throw new TurnaboutError("not_allowed", `${what} needs an admin token`);
  }
}
