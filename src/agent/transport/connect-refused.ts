/** An outbound proxy's refusal of CONNECT: its status tells a missing login from a rule. */
export class ConnectRefused extends Error {
  readonly status: number;

  /** Without the proxy's reason phrase, which may have the credential that was sent to it. */
  constructor(authority: string, status: number) {
    super(`CONNECT ${authority} responded with ${status}`);
    this.status = status;
  }
}
