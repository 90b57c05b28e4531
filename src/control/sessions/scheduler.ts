/** Which Wolf instance takes a session: the least loaded one that is online, fits, and has a free place. */
import type { ErrorCode } from "../../wire/error-table.ts";
import type { Instance } from "../store/instances.ts";

export interface Candidate {
  instance: Pick<Instance, "id" | "maxSandboxes" | "gpuVendor" | "privileged" | "createdAtMs">;
  /** The tunnel says so; a heartbeat does not. */
  online: boolean;
  /** Places taken, those being created included. */
  taken: number;
}

export interface Wish {
  gpuVendor?: string | undefined;
  privileged?: boolean | undefined;
}

/** An instance's id, or the reason why there is none. Ties go to the older instance, so that the answer is stable. */
export function chooseInstance(
  candidates: readonly Candidate[],
  wish: Wish,
): { id: string } | { reason: ErrorCode } {
  const online = candidates.filter((candidate) => candidate.online);
  if (online.length === 0) return { reason: "no_instance_online" };
  const fitting = online.filter(
    ({ instance }) =>
      (wish.gpuVendor === undefined || instance.gpuVendor === wish.gpuVendor) &&
      (wish.privileged !== true || instance.privileged),
  );
  if (fitting.length === 0) return { reason: "no_instance_matches" };
  const free = fitting.filter(({ instance, taken }) => taken < instance.maxSandboxes);
  const [best] = free.toSorted(
    (a, b) =>
      a.taken / a.instance.maxSandboxes - b.taken / b.instance.maxSandboxes ||
      a.instance.createdAtMs - b.instance.createdAtMs ||
      (a.instance.id < b.instance.id ? -1 : 1),
  );
  return best === undefined ? { reason: "instances_full" } : { id: best.instance.id };
}
