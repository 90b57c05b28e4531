/**
 * A client whose process has died closes data connections as one does whose target has ended. An acknowledgement of a PING that
 * was sent behind the end tells them apart: only a client that lives sends it. One PING is for all ends that wait for it.
 */
export class EndConfirmations {
  readonly #ping: (onAcknowledged: () => void) => void;
  #waiting: (() => void)[] = [];
  #isPinging = false;

  /** @param ping calls back with the acknowledgement, or when there can be none */
  constructor(ping: (onAcknowledged: () => void) => void) {
    this.#ping = ping;
  }

  confirm(done: () => void): void {
    this.#waiting.push(done);
    if (!this.#isPinging) this.#pingForAll();
  }

  #pingForAll(): void {
    const confirmed = this.#waiting;
    this.#waiting = [];
    this.#isPinging = true;
    this.#ping(() => {
      // Later, if the control connection has just ended: its own listeners come first.
      setImmediate(() => {
        for (const done of confirmed) done();
        this.#isPinging = false;
        if (this.#waiting.length > 0) this.#pingForAll();
      });
    });
  }
}
