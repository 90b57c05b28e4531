/** Who may dial which runner: by the grant of the credential, or by a rule that an extension adds for a group of runners. */
import { TurnaboutError } from "../../wire/errors.ts";
import { ADMIN_TARGETS } from "./identity.ts";
import type { Identity } from "./identity.ts";

/**
 * Runners that belong together and have an owner, as an extension defines them. Streams to a runner of a group end when
 * the extension closes the group. Ids of groups are unique in the control plane.
 */
export interface RunnerGroups {
  /** What a group is called in the API: a token that was issued for one has its id in a member of this name. */
  readonly name: string;
  /** The group of a runner, by the runner's id alone: the group need not exist. Undefined if the runner is in none. */
  groupOf(runnerId: string): string | undefined;
  /** Whether the identity may dial the group's runners beyond its grant. Not checked for {@link ADMIN_TARGETS}. */
  mayDial(identity: Identity, group: string): boolean;
  /** Whether the identity reads events of the group's runners. */
  mayObserve(identity: Identity, group: string): boolean;
}

export class Access {
  readonly #groups: RunnerGroups[] = [];

  add(groups: RunnerGroups): void {
    this.#groups.push(groups);
  }

  /** Names of the kinds of groups. */
  get groupNames(): string[] {
    return this.#groups.map(({ name }) => name);
  }

  groupOf(runnerId: string): string | undefined {
    return this.#find(runnerId)?.group;
  }

  mayDial(identity: Identity, runnerId: string, target: string): boolean {
    if (identity.mayDial(runnerId, target)) return true;
    if (ADMIN_TARGETS.has(target)) return false;
    const found = this.#find(runnerId);
    return found !== undefined && found.groups.mayDial(identity, found.group);
  }

  mayObserve(identity: Identity, runnerId: string): boolean {
    if (identity.mayAdminister) return true;
    const found = this.#find(runnerId);
    return found !== undefined && found.groups.mayObserve(identity, found.group);
  }

  #find(runnerId: string): { groups: RunnerGroups; group: string } | undefined {
    for (const groups of this.#groups) {
      const group = groups.groupOf(runnerId);
      if (group !== undefined) return { groups, group };
    }
    return undefined;
  }
}

/** @throws TurnaboutError `not_allowed` */
export function requireAdmin(identity: Identity, what: string): void {
  if (!identity.mayAdminister) throw new TurnaboutError("not_allowed", `${what} needs an admin token`);
}
