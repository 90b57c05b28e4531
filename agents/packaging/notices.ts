/** The licences of packages whose code is in a bundle: most ask that copies have them. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { ROOT } from "./bundle.ts";

const LICENCE_FILE = /^(licen[cs]e|copying|notice)([.-]|$)/i;

const HEAD = `The single-file programs of Turnabout contain code of these packages, under these licences.
Turnabout's own licence is in LICENSE.
`;

/** @param inputs files of a bundle, from the root. @throws Error for a package without a licence */
export async function notices(inputs: readonly string[]): Promise<string> {
  const folders = new Set(
    inputs.flatMap((input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []),
  );
  const parts = [...folders].toSorted().map((folder) => noticeOf(path.join(ROOT, folder)));
  return [HEAD, ...(await Promise.all(parts))].join(`\n${"-".repeat(80)}\n\n`);
}

interface Manifest {
  name: string;
  version: string;
  license?: string;
}

async function noticeOf(folder: string): Promise<string> {
  const manifest = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8")) as Manifest;
  const { name, version, license } = manifest;
  const files = (await readdir(folder)).filter((file) => LICENCE_FILE.test(file));
  if (license === undefined && files.length === 0) throw new Error(`${name}: no licence in ${folder}`);
  const texts = await Promise.all(files.map((file) => readFile(path.join(folder, file), "utf8")));
  return [`${name} ${version} (${license ?? "see below"})`, ...texts.map((text) => text.trim())].join("\n\n");
}
