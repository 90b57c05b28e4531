/** Who may reach what, where that depends on more than the credential itself: sessions have owners. */
import { HelixError } from "../errors.ts";
import { isSessionId, sessionOfRunner } from "../ids.ts";
import type { Session, SessionStore } from "../store/sessions.ts";
import type { Identity, RunnerGroups } from "../../control/extension.ts";

export class Policy implements RunnerGroups {
  readonly name = "session";
  readonly #sessions: SessionStore;

  constructor(sessions: SessionStore) {
    this.#sessions = sessions;
  }

  owns(identity: Identity, session: Session): boolean {
    return identity.mayAdminister || (identity.owner !== undefined && identity.owner === session.owner);
  }

  /** To an identity that may not see it, an existing session looks like an unknown one. @throws HelixError `session_unknown` */
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

  /** A session's sandbox. */
  groupOf(runnerId: string): string | undefined {
    return sessionOfRunner(runnerId);
  }

  /** The owner dials the sandbox of a session without a grant for its runner, until the session is being stopped. */
  mayDial(identity: Identity, sessionId: string): boolean {
    const session = this.#sessions.get(sessionId);
    return session !== undefined && session.state !== "stopping" && this.owns(identity, session);
  }

  mayObserve(identity: Identity, sessionId: string): boolean {
    const session = this.#sessions.get(sessionId);
    return session !== undefined && this.owns(identity, session);
  }
}
