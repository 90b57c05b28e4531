/** A command that a process of ours may have started: the one that it succeeds, or a supervisor. */
import type { Command } from "../command.ts";
import { takeInheritance } from "./inheritance.ts";
import type { Inheritance } from "./inheritance.ts";
import { Parent } from "./parent.ts";
import { UpgradeSignal } from "./upgrades.ts";

export interface Beginning {
  inheritance: Inheritance;
  /** Undefined if the process was started by hand or by a service manager. */
  parent: Parent | undefined;
  upgradeSignal: UpgradeSignal;
}

interface StartedCommand extends Omit<Command, "run"> {
  run(args: string[], beginning: Beginning): Promise<void>;
}

/** Takes what the process has inherited before the command removes secrets; reports a failed start to its parent. */
export function startedByUs(command: StartedCommand): Command {
  return {
    ...command,
    async run(args) {
      const upgradeSignal = new UpgradeSignal();
      const inheritance = takeInheritance();
      const { startedBy } = inheritance;
      const parent = startedBy === undefined ? undefined : new Parent(startedBy);
      try {
        await command.run(args, { inheritance, parent, upgradeSignal });
      } catch (error) {
        parent?.failed((error as Error).message);
        throw error;
      }
    },
  };
}
