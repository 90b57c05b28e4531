/**
 * The development PKI as a folder: which certificates exist, which are missing, and every change to them.
 *
 *     ca/            the authority: tls.crt, tls.key, crl.pem
 *     server/        the control plane's: tls.crt, tls.key, ca.crt, crl.pem
 *     peer/          between control planes, server and client in one: the same files
 *     agents/NAME/   an agent's: tls.crt, tls.key, ca.crt
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { makeFolder } from "../src/control/sqlite/make-folder.ts";
import { Authority, parseRevocationList } from "./authority.ts";
import type { Revoked } from "./authority.ts";
import { covers, namesOf, union } from "./certificate-names.ts";
import type { Names } from "./certificate-names.ts";
import { readFolder, writeFolder } from "./folder.ts";
import type { Files } from "./folder.ts";
import { readIssued, recordIssued } from "./issued.ts";
import { DAY_MS, RENEW_BELOW } from "./lifetimes.ts";
import { withLock } from "./lock.ts";

export const FILE = { cert: "tls.crt", key: "tls.key", ca: "ca.crt", crl: "crl.pem" } as const;

const CA_NAME = "Turnabout development CA";

/** A requested certificate: its folder and its names. */
export interface Wanted extends Names {
  folder: string;
}

export type Outcome = "made" | "kept" | "renewed" | "revoked";

export interface Report {
  folder: string;
  outcome: Outcome;
  certificate: X509Certificate;
}

export class Inventory {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Makes what is missing, broken, revoked, near its end, or lacks a wanted name; everything else stays.
   *
   * @param agents none: those that are there, or `firstAgent` where there is none
   */
  async make(
    wanted: { own: readonly Wanted[]; agents: readonly Wanted[]; firstAgent: Wanted },
    days: { ca: number; leaf: number },
  ): Promise<Report[]> {
    makeFolder(this.#root);
    return withLock(this.#root, () => this.#make(wanted, days));
  }

  async #make(
    { own, agents, firstAgent }: Parameters<Inventory["make"]>[0],
    days: { ca: number; leaf: number },
  ): Promise<Report[]> {
    // Whatever this folder is part of: nothing in it is for a repository.
    await writeFile(path.join(this.#root, ".gitignore"), "*\n");
    const files = await this.#read("ca");
    const usable = files !== undefined && isWholePair(files) && !isOver(certificateOf(files));
    const authority = usable ? await load(files) : await Authority.create(CA_NAME, days.ca);
    if (!usable) await this.#writeAuthority(authority, await authority.exportKey(), []);
    const reports = [await this.#report("ca", usable ? "kept" : "made")];
    for (const want of [...own, ...agents]) {
      const outcome = await this.#ensure(authority, want, days.leaf);
      reports.push(await this.#report(want.folder, outcome));
    }
    return agents.length > 0
      ? reports
      : [...reports, ...(await this.#keepAgents(authority, firstAgent, days.leaf))];
  }

  /** No agent was requested: existing ones stay what they are, revoked ones too. */
  async #keepAgents(authority: Authority, firstAgent: Wanted, days: number): Promise<Report[]> {
    const there = (await this.folders()).filter((folder) => folder.startsWith("agents/"));
    if (there.length === 0) {
      const outcome = await this.#ensure(authority, firstAgent, days);
      return [await this.#report(firstAgent.folder, outcome)];
    }
    const reports: Report[] = [];
    for (const folder of there) {
      // The names in a damaged one are not known: --agent has to give them again.
      const { certificate } = await this.#report(folder, "kept");
      const revoked = await this.#isRevoked(certificate);
      const want = { folder, ...namesOf(certificate) };
      reports.push(
        await this.#report(folder, revoked ? "revoked" : await this.#ensure(authority, want, days)),
      );
    }
    return reports;
  }

  async #ensure(authority: Authority, want: Wanted, days: number): Promise<Outcome> {
    const files = await this.#read(want.folder);
    if (files !== undefined && isWholePair(files)) {
      const certificate = certificateOf(files);
      const revoked = await this.#isRevoked(certificate);
      const isOurs = certificate.verify(new X509Certificate(authority.cert).publicKey);
      if (isOurs && !revoked && !isNearEnd(certificate) && covers(certificate, want)) {
        await this.#copyTrust(want.folder, files);
        return "kept";
      }
      await this.#issue(authority, want.folder, isOurs ? union(namesOf(certificate), want) : want, days);
      return revoked || !isOurs ? "made" : "renewed";
    }
    await this.#issue(authority, want.folder, want, days);
    return "made";
  }

  /** New keys and dates for those near their end, or for all. Revoked ones stay as they are. */
  async renew(only: readonly string[], all: boolean, days: number): Promise<Report[]> {
    return this.#change(() => this.#renew(only, all, days));
  }

  async #renew(only: readonly string[], all: boolean, days: number): Promise<Report[]> {
    const { authority } = await this.#authority();
    const reports: Report[] = [];
    for (const folder of only.length > 0 ? only : await this.folders()) {
      const files = await this.#read(folder);
      if (files === undefined) throw new InventoryError(`${folder}: no certificate there`);
      const certificate = certificateOf(files);
      const revoked = await this.#isRevoked(certificate);
      const due = all || only.length > 0 || isNearEnd(certificate) || !isWholePair(files);
      if (due && !revoked) await this.#issue(authority, folder, namesOf(certificate), days);
      reports.push(await this.#report(folder, revoked ? "revoked" : due ? "renewed" : "kept"));
    }
    return reports;
  }

  /** The same authority, name and key, with a new date. */
  async renewAuthority(days: number): Promise<Report> {
    return this.#change(async () => {
      const { authority, key } = await this.#authority();
      await this.#writeAuthority(await authority.renewed(days), key, await this.revoked());
      return this.#report("ca", "renewed");
    });
  }

  /** Puts the serials on the list. */
  async revoke(serials: readonly string[]): Promise<void> {
    await this.#change(async () => {
      const { authority, key } = await this.#authority();
      const revoked = await this.revoked();
      const added = serials.filter((serial) => !revoked.some((entry) => sameSerial(entry.serial, serial)));
      if (added.length === 0) return;
      const at = new Date();
      await this.#writeAuthority(authority, key, [...revoked, ...added.map((serial) => ({ serial, at }))]);
    });
  }

  /** Of every certificate that a folder has or has had, and that has not ended. */
  async serials(folder: string): Promise<string[]> {
    const { certificate } = await this.#report(folder, "kept");
    const had = (await readIssued(this.#root)).filter((entry) => entry.folder === folder);
    return [...new Set([certificate.serialNumber, ...had.map(({ serial }) => serial)])];
  }

  /** Of what is there: where nothing is, nothing is made for the lock either. */
  async #change<T>(change: () => Promise<T>): Promise<T> {
    await this.#authority();
    return withLock(this.#root, change);
  }

  async revoked(): Promise<Revoked[]> {
    const text = (await this.#read("ca"))?.[FILE.crl];
    return text === undefined ? [] : parseRevocationList(text);
  }

  /** All but the authority, by their folders. */
  async folders(): Promise<string[]> {
    const agents = await readdir(path.join(this.#root, "agents")).catch((): string[] => []);
    const candidates = ["server", "peer", ...agents.sort().map((name) => `agents/${name}`)];
    const present = await Promise.all(candidates.map(async (name) => (await this.#read(name)) !== undefined));
    return candidates.filter((_name, index) => present[index]);
  }

  async show(): Promise<Report[]> {
    await this.#authority();
    const reports: Report[] = [await this.#report("ca", "kept")];
    for (const folder of await this.folders()) {
      const report = await this.#report(folder, "kept");
      reports.push((await this.#isRevoked(report.certificate)) ? { ...report, outcome: "revoked" } : report);
    }
    return reports;
  }

  async #authority(): Promise<{ authority: Authority; key: string }> {
    const files = await this.#read("ca");
    if (files === undefined || !isWholePair(files)) {
      throw new InventoryError(`${this.#root}: no certificate authority there`);
    }
    return { authority: await load(files), key: files[FILE.key] ?? "" };
  }

  async #writeAuthority(authority: Authority, key: string, revoked: readonly Revoked[]): Promise<void> {
    await writeFolder(path.join(this.#root, "ca"), {
      [FILE.cert]: authority.cert,
      [FILE.key]: key,
      [FILE.crl]: await authority.revocationList(revoked),
    });
    for (const folder of await this.folders()) {
      const files = await this.#read(folder);
      if (files !== undefined) await this.#copyTrust(folder, files);
    }
  }

  async #issue(authority: Authority, folder: string, names: Names, days: number): Promise<void> {
    const notAfter = new Date(Date.now() + days * DAY_MS);
    const { cert, key } = await authority.issue({ ...names, notAfter });
    const serial = new X509Certificate(cert).serialNumber;
    await recordIssued(this.#root, { folder, serial, notAfter: notAfter.toISOString() });
    const trust = await this.#trust(folder);
    await writeFolder(path.join(this.#root, folder), { [FILE.cert]: cert, [FILE.key]: key, ...trust });
  }

  /** What its owner has to trust and to refuse: agents check no revocation, because their peer is one server. */
  async #trust(folder: string): Promise<Files> {
    const ca = (await this.#read("ca")) ?? {};
    const trust = { [FILE.ca]: ca[FILE.cert] ?? "" };
    return folder.startsWith("agents/") ? trust : { ...trust, [FILE.crl]: ca[FILE.crl] ?? "" };
  }

  async #copyTrust(folder: string, files: Files): Promise<void> {
    const trust = await this.#trust(folder);
    if (Object.entries(trust).every(([name, text]) => files[name] === text)) return;
    await writeFolder(path.join(this.#root, folder), { ...files, ...trust });
  }

  async #isRevoked({ serialNumber }: X509Certificate): Promise<boolean> {
    return (await this.revoked()).some(({ serial }) => sameSerial(serial, serialNumber));
  }

  #read(folder: string): Promise<Files | undefined> {
    return readFolder(path.join(this.#root, folder));
  }

  async #report(folder: string, outcome: Outcome): Promise<Report> {
    const files = (await this.#read(folder)) ?? {};
    try {
      return { folder, outcome, certificate: certificateOf(files) };
    } catch {
      throw new InventoryError(`${folder}: a damaged certificate`);
    }
  }
}

/** An error that the user of the command can correct. */
export class InventoryError extends Error {
  override readonly name = "InventoryError";
}

export function sameSerial(left: string, right: string): boolean {
  const plain = (serial: string) => serial.toLowerCase().replaceAll(":", "").replace(/^0+/, "");
  return plain(left) === plain(right);
}

export function isNearEnd(certificate: X509Certificate): boolean {
  const from = certificate.validFromDate.getTime();
  const to = certificate.validToDate.getTime();
  return to - Date.now() < (to - from) * RENEW_BELOW;
}

function isWholePair(files: Files): boolean {
  try {
    return certificateOf(files).checkPrivateKey(createPrivateKey(files[FILE.key] ?? ""));
  } catch {
    return false;
  }
}

function isOver(certificate: X509Certificate): boolean {
  return certificate.validToDate.getTime() <= Date.now();
}

function certificateOf(files: Files): X509Certificate {
  return new X509Certificate(files[FILE.cert] ?? "");
}

function load(files: Files): Promise<Authority> {
  return Authority.load({ cert: files[FILE.cert] ?? "", key: files[FILE.key] ?? "" });
}
