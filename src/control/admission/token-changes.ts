/** Applies a change of tokens to an agent's connection: closes what its token no longer covers, accepts what it covers now. */
import type { Logger } from "../../wire/log.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { TokenStore } from "../auth/tokens.ts";
import type { AgentBudgets } from "./agent-budgets.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import { offerAgain, reportRefused } from "./refused-runners.ts";
import type { Registry } from "../registry/registry.ts";

export interface TokenChangeContext {
  registry: Registry;
  tokens: TokenStore;
  agentBudgets: AgentBudgets;
  log: Logger;
}

/**
 * Closes the connection if its token was revoked, or no longer covers one of the agent's own runners; discovered runners
 * that it no longer covers are removed. Connections with a client certificate are not affected.
 */
export function applyTokenChange(connection: AgentConnection, context: TokenChangeContext): void {
  const { agentBudgets, registry, tokens, log } = context;
  const { identity, certificate } = connection;
  if (certificate !== undefined) return; // see CertificateExpiry
  const current = tokens.current(identity);
  const lost = [...connection.runners.values()].filter(({ id }) => current?.mayRegister(id) !== true);
  const isRevoked = current === undefined || current.id !== identity.id;
  if (isRevoked || lost.some(({ discovered }) => discovered !== true)) {
    const fields = { connection: connection.id, credential: identity.id };
    log.warn(fields, "credential revoked; closing the connection");
    return connection.revoke("the credential has been revoked");
  }
  connection.identity = current;
  for (const { id } of lost) registry.removeRunner(connection, id);
  const refused = lost.map((info) => {
    const message = `register ${info.id}: ${current.id} may no longer register this runner`;
    return { info, error: new TurnaboutError("not_allowed", message) };
  });
  const withBudget = { registry, log, budget: agentBudgets.of(current.id) };
  reportRefused(connection, refused, withBudget);
  offerAgain(connection, withBudget);
}
