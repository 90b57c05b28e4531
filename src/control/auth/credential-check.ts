/** What an agent's credential would get, without a tunnel connection: `turnabout check` shows it. */
import { TurnaboutError } from "../../wire/errors.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import type { Identity, IdentityKind } from "./identity.ts";
import type { TokenStore } from "./tokens.ts";

export interface CredentialCheck {
  credential: { id: string; kind: IdentityKind; expiresAt: string | null };
  /** With the code with which the runner would be refused. */
  runners: { id: string; refusal: ErrorCode | null }[];
}

export interface CredentialCheckContext {
  registry: {
    /** @throws TurnaboutError with the code of a refusal */
    checkMayRegister(
      runnerIds: readonly string[],
      identity: Identity,
      processId: undefined,
      standby: boolean,
    ): void;
  };
  tokens: Pick<TokenStore, "expiryOf">;
}

export function checkCredential(
  identity: Identity,
  runnerIds: readonly string[],
  { registry, tokens }: CredentialCheckContext,
): CredentialCheck {
  const { id, kind } = identity;
  const expiresAtMs = tokens.expiryOf(identity);
  const expiresAt = expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString();
  const refusalOf = (runner: string): ErrorCode | null => {
    try {
      registry.checkMayRegister([runner], identity, undefined, false);
      return null;
    } catch (error) {
      return error instanceof TurnaboutError ? error.code : "internal";
    }
  };
  return {
    credential: { id, kind, expiresAt },
    runners: runnerIds.map((runner) => ({ id: runner, refusal: refusalOf(runner) })),
  };
}
