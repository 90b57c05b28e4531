/** Checks of a source tree: which file imports which, in what order layers and rooms stand, and what a file may say. */
import path from "node:path";

export interface Source {
  /** From the root, with slashes: `src/wire/limits.ts`. */
  file: string;
  text: string;
}

export interface Import {
  file: string;
  specifier: string;
  /** What `specifier` names: a path from the root if it is relative, otherwise the package. */
  target: string;
  isTypeOnly: boolean;
}

/** Imports of types count as well: they, too, decide in which order files can be understood. */
export function importsOf({ file, text }: Source): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s(type\s)?(?:[^;"']*?\sfrom\s)?["']([^"']+)["']/gm);
  const expressions = text.matchAll(/\bimport(\()\s*["']([^"']+)["']\s*\)/g);
  return [...statements, ...expressions].map(([, keyword, specifier = ""]) => ({
    file,
    specifier,
    target: specifier.startsWith(".") ? path.posix.join(path.posix.dirname(file), specifier) : specifier,
    isTypeOnly: keyword?.startsWith("type") === true,
  }));
}

/** The folder below src/: `wire` of `src/wire/streams/splice.ts`, "" of `src/index.ts`. */
export function layerOf(file: string): string {
  const [, layer = "", ...rest] = file.split("/");
  return rest.length === 0 ? "" : layer;
}

/** The folder below the layer, or the name of a file that is directly in the layer. */
export function roomOf(file: string): string {
  return file.split("/")[2] ?? "";
}

/** Each of the form `src/wire/session/goaway.ts imports ../../agent/limits.ts`. */
export function importsBetweenLayers(
  sources: readonly Source[],
  allowed: Readonly<Record<string, readonly string[]>>,
): string[] {
  const wrong = sources.flatMap(importsOf).filter(({ file, specifier, target }) => {
    const [from, to] = [layerOf(file), layerOf(target)];
    if (!specifier.startsWith(".") || from === "" || from === to) return false;
    return allowed[from]?.includes(to) !== true;
  });
  return wrong.map(describeImport);
}

/**
 * Imports that lead from a room to one above it.
 *
 * @param order the rooms of a layer from bottom to top; files directly in the layer that it does not name are above all
 */
export function importsUpwards(
  sources: readonly Source[],
  layer: string,
  order: readonly string[],
): string[] {
  const height = (room: string): number => {
    const place = order.indexOf(room);
    if (place !== -1) return place;
    return /\.tsx?$/.test(room) ? order.length : Number.NaN;
  };
  const wrong = sources.flatMap(importsOf).filter(({ file, target }) => {
    if (layerOf(file) !== layer || layerOf(target) !== layer) return false;
    const [from, to] = [roomOf(file), roomOf(target)];
    return from !== to && !(height(from) >= height(to));
  });
  return wrong.map(describeImport);
}

function describeImport({ file, specifier }: Import): string {
  return `${file} imports ${specifier}`;
}

/** Groups of files that import each other, directly or through others (Tarjan's algorithm). */
export function cyclesOf(sources: readonly Source[]): string[][] {
  const targets = new Map(
    sources.map((source) => [source.file, importsOf(source).map(({ target }) => target)]),
  );
  const cycles: string[][] = [];
  const visited = new Map<string, { index: number; lowest: number; isOpen: boolean }>();
  const open: string[] = [];
  const visit = (file: string): { index: number; lowest: number; isOpen: boolean } => {
    const own = { index: visited.size, lowest: visited.size, isOpen: true };
    visited.set(file, own);
    open.push(file);
    for (const target of targets.get(file) ?? []) {
      if (!targets.has(target)) continue;
      const other = visited.get(target);
      if (other === undefined) own.lowest = Math.min(own.lowest, visit(target).lowest);
      else if (other.isOpen) own.lowest = Math.min(own.lowest, other.index);
    }
    if (own.lowest === own.index) {
      const group = open.splice(open.indexOf(file));
      for (const each of group) (visited.get(each) ?? own).isOpen = false;
      if (group.length > 1 || targets.get(file)?.includes(file) === true) cycles.push(group.toSorted());
    }
    return own;
  };
  for (const file of targets.keys()) if (!visited.has(file)) visit(file);
  return cycles;
}

/** Folders that hold more files than a reader can take in. */
export function crowdedRooms(sources: readonly Source[], max: number): string[] {
  const counts = Object.groupBy(sources, ({ file }) => path.posix.dirname(file));
  return Object.entries(counts).flatMap(([room, files = []]) =>
    files.length > max ? [`${room} has ${files.length} files`] : [],
  );
}

/** The comment that a file begins with, without its stars. */
function headOf(text: string): string {
  const [, head = ""] = /^(?:#![^\n]*\n)?\/\*\*([^]*?)\*\//.exec(text) ?? [];
  return head.replaceAll(/\n \* ?/g, " ");
}

/** Files that are longer than `max` lines, unless their first comment says `Longer than 300 lines because …`. */
export function longFiles(sources: readonly Source[], max: number): string[] {
  const reason = new RegExp(`Longer than ${max} lines because \\S+ \\S+ \\S+`);
  return sources.flatMap(({ file, text }) => {
    const lines = text.split("\n").length - 1;
    return lines > max && !reason.test(headOf(text)) ? [`${file} has ${lines} lines and no reason`] : [];
  });
}

/** Each place where one of the words stands, in any case, as a word or as a part of an identifier. */
export function mentions(sources: readonly Source[], words: RegExp): string[] {
  return sources.flatMap(({ file, text }) =>
    [file, ...text.split("\n")].flatMap((line, number) => {
      const [word] = words.exec(line) ?? [];
      return word === undefined ? [] : [`${file}${number === 0 ? "" : `:${number}`} says ${word}`];
    }),
  );
}
