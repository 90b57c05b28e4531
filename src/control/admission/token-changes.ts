/** A token has changed: what it no longer covers is closed, what it covers now is taken up. */
import type { Logger } from "../../wire/log.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { TokenStore } from "../auth/tokens.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import { offerAgain, reportRefused } from "./refused-runners.ts";
import type { Registry } from "../registry/registry.ts";

export interface RevisionContext {
  registry: Registry;
  tokens: TokenStore;
  log: Logger;
}

/**
 * Closes the connection of a token that is revoked, or that does not cover one of the agent's own runners any more. Of
 * discovered ones only those go that it does not cover. A client certificate is not a token and stays as it is.
 */
export function revise(connection: AgentConnection, context: RevisionContext): void {
  const { registry, tokens, log } = context;
  const { identity, certificate } = connection;
  if (certificate !== undefined) return; // its own watch looks after it
  const current = tokens.current(identity);
  const lost = [...connection.runners.values()].filter(({ id }) => current?.mayRegister(id) !== true);
  const isRevoked = current === undefined || current.id !== identity.id;
  if (isRevoked || lost.some(({ discovered }) => discovered !== true)) {
    const fields = { connection: connection.id, credential: identity.id };
    log.warn(fields, "credential revoked; closing the connection");
    return connection.drain("refused", "unauthenticated: the credential has been revoked", 0);
  }
  connection.identity = current;
  for (const { id } of lost) registry.removeRunner(connection, id);
  const refused = lost.map((info) => {
    const message = `register ${info.id}: ${current.id} may not register this runner any more`;
    return { info, error: new TurnaboutError("not_allowed", message) };
  });
  reportRefused(connection, refused, context);
  offerAgain(connection, context);
}
