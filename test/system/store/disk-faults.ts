/** Ways in which a data directory fails, made with the real thing: a full file system, removed files, locks, overwritten bytes. */
import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { StoreProblem } from "../../../src/control/sqlite/store-failure.ts";
import { closedAtTheEnd } from "../../support/cleanup.ts";
import { tempPath } from "../../support/temp.ts";

export interface DiskFault {
  name: string;
  problem: StoreProblem;
  skip?: string | false;
  /** Where the data directory is to be. Default: a folder of its own. */
  place?(): string;
  /** @returns ends it; undefined if it lasts */
  begin(directory: string): (() => void) | undefined;
}

const FILE = "turnabout.db";
const NEEDS_ROOT = process.getuid?.() === 0 ? false : "mounting needs root";

function command(name: string, ...args: string[]): boolean {
  return spawnSync(name, args, { stdio: "ignore" }).status === 0;
}

/** A folder with a file system of its own, which is unmounted when the test ends. */
function mounted(...mount: string[]): string {
  const folder = tempPath("-disk");
  mkdirSync(folder);
  if (!command("mount", ...mount, folder)) throw new Error(`mount ${mount.join(" ")} failed`);
  closedAtTheEnd(async () => void command("umount", "--lazy", folder));
  return join(folder, "data");
}

/** Bytes by another process: a descriptor of this one that is closed takes SQLite's locks along. */
function copyInto(from: string, to: string): void {
  command("dd", `if=${from}`, `of=${to}`, "bs=4096", "conv=notrunc");
}

function lock(mode: "IMMEDIATE" | "EXCLUSIVE"): DiskFault {
  return {
    name: `a database that another program has locked (BEGIN ${mode})`,
    problem: "locked",
    begin(directory) {
      const other = new DatabaseSync(join(directory, FILE));
      other.exec(`BEGIN ${mode}`);
      return () => other.close();
    },
  };
}

export const LASTING_FAULT: DiskFault = {
  name: "a file system that the kernel has made read-only after an error",
  problem: "failing",
  skip: NEEDS_ROOT,
  place() {
    const image = tempPath(".ext4");
    if (!command("truncate", "--size=8M", image) || !command("mkfs.ext4", "-q", image)) {
      throw new Error("mkfs.ext4 failed");
    }
    return mounted("-o", "loop", image);
  },
  begin(directory) {
    command("mount", "-o", "remount,abort", join(directory, ".."));
    return undefined;
  },
};

export const DISK_FAULTS: readonly DiskFault[] = [
  {
    name: "a full disk",
    problem: "full",
    skip: NEEDS_ROOT,
    place: () => mounted("-t", "tmpfs", "-o", "size=512k", "tmpfs"),
    begin(directory) {
      const filler = join(directory, "..", "filler");
      command("dd", "if=/dev/zero", `of=${filler}`, "bs=1024");
      return () => rmSync(filler);
    },
  },
  {
    name: "a data directory that was removed",
    problem: "missing",
    begin(directory) {
      rmSync(directory, { recursive: true });
      return () => mkdirSync(directory);
    },
  },
  {
    name: "a data directory that was moved away",
    problem: "missing",
    begin(directory) {
      const elsewhere = `${directory}-moved`;
      renameSync(directory, elsewhere);
      return () => renameSync(elsewhere, directory);
    },
  },
  {
    name: "a data directory that was copied, removed, and copied back",
    problem: "missing",
    begin(directory) {
      const copy = `${directory}-copy`;
      command("cp", "--archive", directory, copy);
      rmSync(directory, { recursive: true });
      return () => void command("cp", "--archive", copy, directory);
    },
  },
  {
    name: "a database that was replaced by another file",
    problem: "replaced",
    begin(directory) {
      const aside = join(directory, "aside.db");
      renameSync(join(directory, FILE), aside);
      writeFileSync(join(directory, FILE), "");
      return () => renameSync(aside, join(directory, FILE));
    },
  },
  {
    name: "a database whose bytes were overwritten",
    problem: "corrupt",
    begin(directory) {
      const file = join(directory, FILE);
      // Otherwise the WAL still has all that the file has.
      const other = new DatabaseSync(file);
      other.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      other.close();
      const sound = tempPath(".db");
      command("cp", file, sound);
      const garbage = tempPath(".bin");
      writeFileSync(garbage, Buffer.alloc(64 * 1024, 0xaa));
      copyInto(garbage, file);
      command("truncate", `--reference=${sound}`, file);
      return () => copyInto(sound, file);
    },
  },
  lock("IMMEDIATE"),
  lock("EXCLUSIVE"),
];
