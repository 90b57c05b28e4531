/** An outbound proxy's refusal of CONNECT: its status tells a missing login from a rule. */
export class ConnectRefused extends Error {
  readonly status: number;

  constructor(authority: string, status: number, reason = "") {
    super(`CONNECT ${authority} responded with ${status} ${reason}`.trimEnd());
    this.status = status;
  }
}
