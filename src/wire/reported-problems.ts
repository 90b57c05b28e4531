/** The problem that was last reported about each subject: one that persists is logged once, not at every attempt. */
export class ReportedProblems {
  readonly #last = new Map<string, string>();

  /** True if this problem differs from the subject's last one; it is then the last one. Empty: there is no problem now. */
  isNew(subject: string, problem: string): boolean {
    if ((this.#last.get(subject) ?? "") === problem) return false;
    if (problem === "") this.#last.delete(subject);
    else this.#last.set(subject, problem);
    return problem !== "";
  }

  /** The subject's next problem is new. */
  forget(subject: string): void {
    this.#last.delete(subject);
  }

  /** Forgets all subjects but these. */
  retain(subjects: ReadonlySet<string>): void {
    for (const subject of this.#last.keys()) if (!subjects.has(subject)) this.#last.delete(subject);
  }
}
