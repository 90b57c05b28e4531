/** What a section of the benchmark is given and gives. */
import type { Row } from "../report.ts";

export interface SectionContext {
  /** Interleaved pairs of tunnel and baseline. */
  pairs: number;
  /** One run of a pair. */
  runMs: number;
  /** Before the first run of each side: JIT, windows, congestion control. */
  warmUpMs: number;
  /** 1 for a full run; below it, crowds are smaller. */
  scale: number;
  /** Of sections with many rows: only those whose name contains it. */
  rows: string;
  add(row: Omit<Row, "section">): void;
  note(text: string): void;
}

export type Section = (context: SectionContext) => Promise<void>;
