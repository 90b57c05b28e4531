/** Which Wolf instance takes a session: the least loaded one that is online, fits, and has a free place. */
import type { HelixErrorCode } from "../errors.ts";
import type { Presence } from "../instances/instances.ts";
import type { Instance } from "../store/instances.ts";

export interface Candidate {
  instance: Pick<Instance, "id" | "maxSandboxes" | "gpuVendor" | "privileged" | "createdAtMs">;
  presence: Presence;
  /** False: its agent could not reach Wolf the last time. Chosen last. */
  healthy: boolean;
  /** A disk or a GPU's memory is almost full: chosen before an unhealthy instance only. */
  nearlyFull: boolean;
  /** Sessions on it, those being created included. */
  taken: number;
}

export interface Requirements {
  gpuVendor?: string | undefined;
  privileged?: boolean | undefined;
}

/** `awaited`: an instance that is expected back would fit. */
export type Choice = { id: string } | { reason: HelixErrorCode; awaited: boolean };

/** An instance's id, or the reason why there is none. Ties go to the older instance, so that the choice is stable. */
export function chooseInstance(candidates: readonly Candidate[], required: Requirements): Choice {
  const online = candidates.filter(({ presence }) => presence === "online");
  const fitting = online.filter((candidate) => fits(candidate, required));
  const [best] = fitting
    .filter(hasPlace)
    .toSorted(
      (a, b) =>
        Number(b.healthy) - Number(a.healthy) ||
        Number(a.nearlyFull) - Number(b.nearlyFull) ||
        a.taken / a.instance.maxSandboxes - b.taken / b.instance.maxSandboxes ||
        a.instance.createdAtMs - b.instance.createdAtMs ||
        (a.instance.id < b.instance.id ? -1 : 1),
    );
  if (best !== undefined) return { id: best.instance.id };
  const awaited = candidates.some(
    (candidate) => candidate.presence === "reconnecting" && fits(candidate, required) && hasPlace(candidate),
  );
  if (online.length === 0) return { reason: "no_instance_online", awaited };
  return { reason: fitting.length === 0 ? "no_instance_matches" : "instances_full", awaited };
}

function fits({ instance }: Candidate, { gpuVendor, privileged }: Requirements): boolean {
  return (
    (gpuVendor === undefined || instance.gpuVendor === gpuVendor) &&
    (privileged !== true || instance.privileged)
  );
}

function hasPlace({ instance, taken }: Candidate): boolean {
  return taken < instance.maxSandboxes;
}
