/**
 * Who a request of v2 and v3 is from. The first that is present decides: the field of a trusted proxy, a bearer token of 64
 * hexadecimal digits, the session cookie. A user whom the field names for the first time is created.
 */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { MAX_ENTRIES } from "../limits.ts";

export interface User {
  readonly id: number;
  readonly name: string;
  readonly role: "Admin" | "User";
}

/** A status that refuses the request. A 401 may come with the cookie's removal. */
export interface Refusal {
  status: 400 | 401 | 403;
  text: string;
  removesCookie?: boolean;
}

export type Identified = { user: User } | { refusal: Refusal };

const TOKEN = /^[0-9a-f]{64}$/i;
const COOKIE = /(?:^|;\s*)mlSession=([^;]*)/;

export class Users {
  /** Field of a trusted proxy, in lower case; undefined without one. */
  readonly #usernameField: string | undefined;
  readonly #byName = new Map<string, User>();
  readonly #byToken = new Map<string, User>();

  /** @param admin a token of an administrator's, of 64 hexadecimal digits */
  constructor({ usernameField, admin }: { usernameField?: string | undefined; admin?: string }) {
    this.#usernameField = usernameField?.toLowerCase();
    const root: User = { id: 1, name: "admin", role: "Admin" };
    this.#byName.set(root.name, root);
    if (admin !== undefined && TOKEN.test(admin)) this.#byToken.set(admin.toLowerCase(), root);
  }

  get list(): readonly User[] {
    return [...this.#byName.values()];
  }

  identify(headers: IncomingHttpHeaders): Identified {
    const { authorization, cookie = "" } = headers;
    const name = this.#usernameField === undefined ? undefined : headers[this.#usernameField];
    if (typeof name === "string" && name !== "") return this.#named(name);
    const [, session] = COOKIE.exec(cookie) ?? [];
    if (authorization === undefined) return this.#bearing(session, "no session");
    const [scheme, token = ""] = authorization.split(" ");
    if (scheme !== "Bearer") return refusal(400, "the authorization is not of type Bearer");
    return TOKEN.test(token)
      ? this.#bearing(token, "no such session")
      : refusal(400, "invalid session token");
  }

  /** The first user to log in with a name is created; a password is anything but empty. @returns a token */
  logIn(name: string, password: string): string | undefined {
    if (name === "" || password === "") return undefined;
    const identified = this.#named(name);
    if ("refusal" in identified || this.#byToken.size >= MAX_ENTRIES) return undefined;
    const token = randomBytes(32).toString("hex");
    this.#byToken.set(token, identified.user);
    return token;
  }

  #named(name: string): Identified {
    const known = this.#byName.get(name);
    if (known !== undefined) return { user: known };
    if (this.#byName.size >= MAX_ENTRIES) return refusal(401, "too many users");
    const user: User = { id: this.#byName.size + 1, name, role: "User" };
    this.#byName.set(name, user);
    return { user };
  }

  #bearing(token: string | undefined, problem: string): Identified {
    const user = this.#byToken.get(token?.toLowerCase() ?? "");
    if (user !== undefined) return { user };
    return { refusal: { status: 401, text: problem, ...(token !== undefined && { removesCookie: true }) } };
  }
}

function refusal(status: Refusal["status"], text: string): Identified {
  return { refusal: { status, text } };
}
