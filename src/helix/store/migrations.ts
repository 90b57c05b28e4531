/** Helix's tables. */
import type { Migrations } from "../../control/extension.ts";

export const HELIX_MIGRATIONS: Migrations = {
  name: "helix",
  steps: [
    `CREATE TABLE instances (
       id TEXT PRIMARY KEY,
       name TEXT NOT NULL,
       max_sandboxes INTEGER NOT NULL,
       gpu_vendor TEXT,
       render_node TEXT,
       privileged INTEGER NOT NULL DEFAULT 0,
       desktop_versions TEXT NOT NULL DEFAULT '{}',
       disk_usage TEXT NOT NULL DEFAULT '[]',
       container_usage TEXT NOT NULL DEFAULT '[]',
       disk_alert TEXT NOT NULL DEFAULT 'ok',
       boot_epoch_ms INTEGER NOT NULL DEFAULT 0,
       last_heartbeat INTEGER,
       created_at INTEGER NOT NULL,
       updated_at INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE sessions (
       id TEXT PRIMARY KEY,
       owner TEXT NOT NULL,
       name TEXT NOT NULL,
       instance_id TEXT NOT NULL,
       lobby_id TEXT,
       lobby_pin TEXT,
       state TEXT NOT NULL,
       reason TEXT,
       spec TEXT NOT NULL,
       created_at INTEGER NOT NULL,
       updated_at INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX sessions_owner ON sessions(owner);
     CREATE INDEX sessions_instance ON sessions(instance_id);`,
    `ALTER TABLE instances ADD COLUMN disk_reported_at INTEGER;
     ALTER TABLE instances ADD COLUMN gpus TEXT NOT NULL DEFAULT '[]';
     ALTER TABLE instances ADD COLUMN gpu_alert TEXT NOT NULL DEFAULT 'ok';
     ALTER TABLE instances ADD COLUMN gpus_reported_at INTEGER;`,
    `CREATE TABLE offered_streams (
       session TEXT NOT NULL,
       id TEXT NOT NULL,
       runner TEXT NOT NULL,
       path TEXT NOT NULL,
       fields TEXT NOT NULL,
       UNIQUE (session, id)
     ) STRICT;`,
  ],
  stepsByUserVersion: [0, 1, 1, 1, 2],
};
