/** Closes sessions whose client certificate is revoked, not trusted any more, or over: no identity lives for ever. */
import type { Logger } from "../../wire/log.ts";
import type { ClientCertificates } from "../auth/client-certificates.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";

/** The longest that a timer holds; a later end is looked at again then. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class CertificateExpiry {
  readonly #opened: ReadonlySet<AgentConnection>;
  readonly #certificates: ClientCertificates;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #nextMs = Infinity;

  /** @param opened every admitted connection until it closes */
  constructor(opened: ReadonlySet<AgentConnection>, certificates: ClientCertificates, log: Logger) {
    this.#opened = opened;
    this.#certificates = certificates;
    this.#log = log;
  }

  /** One more that ends. One timer for all: at the first end. */
  added({ certificate }: AgentConnection): void {
    if (certificate !== undefined && certificate.validToDate.getTime() < this.#nextMs) this.#schedule();
  }

  /** After a change of the CA or of the revocation list, and at each end. */
  check(): void {
    for (const connection of this.#opened) {
      const { certificate } = connection;
      const refusal = certificate === undefined ? undefined : this.#certificates.refusal(certificate);
      if (refusal === undefined) continue;
      const fields = {
        connection: connection.id,
        credential: connection.identity.id,
        reason: refusal.reason,
      };
      if (refusal.expired) {
        // Its owner may have the next one already: it comes back at once, and open streams may finish.
        if (connection.usable)
          this.#log.warn(fields, "client certificate has expired; draining the connection");
        connection.drain("draining", refusal.reason);
      } else {
        this.#log.warn(fields, "client certificate not accepted any more; closing the connection");
        if (connection.usable) connection.drain("refused", `unauthenticated: ${refusal.reason}`, 0);
        else connection.destroy(refusal.reason);
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
    for (const { certificate, usable } of this.#opened) {
      const endMs = certificate?.validToDate.getTime() ?? Infinity;
      if (usable && endMs < this.#nextMs) this.#nextMs = endMs;
    }
    if (this.#nextMs === Infinity) return;
    this.#timer = setTimeout(() => this.check(), Math.min(Math.max(this.#nextMs - now, 0) + 1, MAX_TIMER_MS));
    this.#timer.unref();
  }
}
