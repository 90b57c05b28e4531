/**
 * The requests that have ended last, in memory: a bounded number of each target, of each user's requests that have reached none, and
 * in total. It keeps the records themselves, so a request costs one small object more.
 */
import { redactedPath } from "./access-line.ts";
import { BoundedLists, listIn } from "./bounded-lists.ts";
import type { BoundedList, Kept } from "./bounded-lists.ts";
import {
  MAX_RECENT_LENGTH,
  MAX_RECENT_REQUESTS,
  RECENT_REQUESTS_PER_TARGET,
  RECENT_REQUESTS_PER_USER,
} from "./limits.ts";
import type { RequestRecord } from "./request-record.ts";

export class RecentRequests {
  readonly #targets = new Map<string, Map<string, BoundedList<RequestRecord>>>();
  /** By user. Of requests that got no connection: their runner and target may be the caller's invention. And of those of the API. */
  readonly #others = new Map<string, BoundedList<RequestRecord>>();
  readonly #all = new BoundedLists<RequestRecord>({ size: MAX_RECENT_REQUESTS, length: MAX_RECENT_LENGTH });

  get size(): number {
    return this.#all.size;
  }

  /** Number of the latest; 0 before the first. */
  get latest(): number {
    return this.#all.latest;
  }

  /** Behind its end: nothing else uses the record from then on. */
  add(record: RequestRecord): void {
    record.settle();
    const { path, reason } = record;
    if (path !== undefined) record.path = ownText(redactedPath(path), path);
    const length = (record.path?.length ?? 0) + (reason?.length ?? 0);
    this.#all.add(this.#listOf(record), record, length);
  }

  /** The latest first. */
  [Symbol.iterator](): Generator<Kept<RequestRecord>> {
    return this.#all[Symbol.iterator]();
  }

  #listOf({ code, connection, requester, runner, target, way }: RequestRecord): BoundedList<RequestRecord> {
    const hasTarget = connection !== undefined && code !== "target_unknown";
    if (hasTarget && runner !== undefined && target !== undefined) return this.#targetList(runner, target);
    const user = requester === undefined ? "" : (requester.owner ?? requester.id);
    return listIn(this.#others, way === "api" ? `api ${user}` : user, RECENT_REQUESTS_PER_USER);
  }

  #targetList(runner: string, target: string): BoundedList<RequestRecord> {
    let byTarget = this.#targets.get(runner);
    if (byTarget === undefined) {
      byTarget = new Map();
      this.#targets.set(runner, byTarget);
    }
    return byTarget.get(target) ?? this.#createTargetList(byTarget, runner, target);
  }

  #createTargetList(
    byTarget: Map<string, BoundedList<RequestRecord>>,
    runner: string,
    target: string,
  ): BoundedList<RequestRecord> {
    return listIn(byTarget, target, RECENT_REQUESTS_PER_TARGET, () => {
      if (byTarget.size === 0) this.#targets.delete(runner);
    });
  }
}

/** A part of a text keeps all of it in memory. */
function ownText(text: string, whole: string): string {
  return text === whole ? text : Buffer.from(text).toString();
}
