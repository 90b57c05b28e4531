/** An upgrade in place that has not taken place. The process that served goes on serving. */
export class UpgradeError extends Error {
  override readonly name = "UpgradeError";
  /** What an operator can do about it. */
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}
