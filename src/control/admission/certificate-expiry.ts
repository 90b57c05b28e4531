/** Closes tunnel connections whose client certificate has expired, was revoked, or is no longer trusted. */
import type { Logger } from "../../wire/log.ts";
import type { ClientCertificates } from "../auth/client-certificates.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";

/** Maximum delay of setTimeout(). A later expiry is checked again after it. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class CertificateExpiry {
  readonly #openConnections: ReadonlySet<AgentConnection>;
  readonly #certificates: ClientCertificates;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #nextMs = Infinity;

  /** @param openConnections every admitted connection until it closes */
  constructor(openConnections: ReadonlySet<AgentConnection>, certificates: ClientCertificates, log: Logger) {
    this.#openConnections = openConnections;
    this.#certificates = certificates;
    this.#log = log;
  }

  /** One timer serves all connections: it fires when the first certificate expires. */
  added({ certificate }: AgentConnection): void {
    if (certificate !== undefined && certificate.validToDate.getTime() < this.#nextMs) this.#schedule();
  }

  /** Called after a change of the CA or of the revocation list, and at each expiry. */
  check(): void {
    for (const connection of this.#openConnections) {
      const { certificate } = connection;
      const refusal = certificate === undefined ? undefined : this.#certificates.refusal(certificate);
      if (refusal === undefined) continue;
      const fields = {
        connection: connection.id,
        credential: connection.identity.id,
        reason: refusal.reason,
      };
      if (refusal.expired) {
        // The agent may have a renewed one: it reconnects at once, and open streams may finish.
        if (connection.usable)
          this.#log.warn(fields, "client certificate has expired; draining the connection");
        connection.drain("draining", refusal.reason);
      } else {
        this.#log.warn(fields, "client certificate no longer accepted; closing the connection");
        connection.revoke(refusal.reason);
      }
    }
    this.#schedule();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const now = Date.now();
    this.#nextMs = Infinity;
    for (const { certificate, usable } of this.#openConnections) {
      const endMs = certificate?.validToDate.getTime() ?? Infinity;
      if (usable && endMs < this.#nextMs) this.#nextMs = endMs;
    }
    if (this.#nextMs === Infinity) return;
    this.#timer = setTimeout(() => this.check(), Math.min(Math.max(this.#nextMs - now, 0) + 1, MAX_TIMER_MS));
    this.#timer.unref();
  }
}
