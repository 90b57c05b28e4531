/** Which test files share a process: a process that starts and imports everything costs half a second of CPU. */
import { dirname } from "node:path";

/** Files of one folder share a process, so that it is known which files may have an effect on another. */
const FILES_OF_A_PROCESS = 8;

/** These have a process of their own. Long ones too: files of a process run one after the other. */
export const ALONE: Readonly<Record<string, string>> = {
  "src/control/api/live/events.test.ts": "measures the memory of its process",
  "test/traps/long-lived-tables.test.ts": "sets flags of V8, and counts what is left in memory",
  "test/http2-endings.test.ts": "listens for the end of its process",
};

/** @param first have a process of their own too, and begin first */
export function groupFiles(files: readonly string[], first: readonly string[]): string[][] {
  const isAlone = (file: string): boolean => first.includes(file) || file in ALONE;
  const folders = Map.groupBy(
    files.filter((file) => !isAlone(file)),
    (file) => dirname(file),
  );
  const shared = [...folders.values()].flatMap((folder) => chunks(folder));
  const alone = files.filter((file) => isAlone(file) && !first.includes(file));
  // Unit tests are short: at the end no process has much left to do while others have nothing.
  const [units, others] = [true, false].map((isUnit) =>
    shared.filter(([file = ""]) => file.startsWith("src/") === isUnit),
  );
  return [...[...first, ...alone].map((file) => [file]), ...(others ?? []), ...(units ?? [])];
}

/** As even as possible. */
function chunks(files: readonly string[]): string[][] {
  const count = Math.ceil(files.length / FILES_OF_A_PROCESS);
  return Array.from({ length: count }, (_, index) => files.filter((_file, place) => place % count === index));
}
