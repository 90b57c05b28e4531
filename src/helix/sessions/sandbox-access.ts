/** A sandbox's access to the tunnel: the token its agent connects with, and how all of it ends with the session. */
import type { ExtensionHost, ExtensionRunners, ExtensionTokens } from "../../control/extension.ts";
import { runnersOfSession } from "../ids.ts";

export interface SandboxAccessContext {
  tokens: Pick<ExtensionTokens, "issue" | "list" | "revoke">;
  activeStreams: Pick<ExtensionHost["activeStreams"], "closeGroup">;
  runners: Pick<ExtensionRunners, "kick">;
}

export class SandboxAccess {
  readonly #context: SandboxAccessContext;

  constructor(context: SandboxAccessContext) {
    this.#context = context;
  }

  /** @returns the secret of a token that registers the session's sandbox and nothing else; it replaces an earlier one */
  issueToken(sessionId: string): string {
    const { tokens } = this.#context;
    const id = tokenId(sessionId);
    tokens.revoke(id);
    const runners = runnersOfSession(sessionId);
    return tokens.issue({ id, kind: "runner", runners, group: sessionId }).secret;
  }

  /** Ends what is open for the session, and the sandbox cannot connect again. */
  close(sessionId: string): void {
    const { tokens, activeStreams, runners } = this.#context;
    const message = "the session has ended";
    activeStreams.closeGroup(sessionId, message);
    tokens.revoke(tokenId(sessionId));
    // Not the agent beside Wolf, which may have discovered the sandbox, or serves others on the same connection.
    for (const runner of runnersOfSession(sessionId)) {
      runners.kick(runner, { message, deadlineMs: 0, ownAgentOnly: true });
    }
  }

  /** Revokes the tokens of sessions that are not there: left over by a process that was killed. */
  revokeOthers(exists: (sessionId: string) => boolean): void {
    for (const { id, group } of this.#context.tokens.list()) {
      if (group !== undefined && !exists(group)) this.#context.tokens.revoke(id);
    }
  }
}

function tokenId(sessionId: string): string {
  return `session-${sessionId}`;
}
