/** A new token. Its secret is shown once. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { unreachable } from "../api/api-error.ts";
import { call } from "../api/client.ts";
import type { NewToken } from "../api/types.ts";
import { Button } from "../parts/button.tsx";
import { CopyLine } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Field, Select } from "../parts/field.tsx";

const KINDS = [
  ["user", "user: reaches targets"],
  ["runner", "runner: an agent's"],
  ["admin", "admin: everything"],
] as const;
const DAY_S = 86_400;
const LIVES = [
  [String(DAY_S), "a day"],
  [String(30 * DAY_S), "30 days"],
  [String(365 * DAY_S), "a year"],
  ["", "never"],
] as const;

interface NewTokenDialogProps {
  onClose: () => void;
  onIssued: () => void;
}

export function NewTokenDialog({ onClose, onIssued }: NewTokenDialogProps): JSX.Element {
  const [issued, setIssued] = useState<{ id: string; secret: string }>();
  if (issued !== undefined)
    return (
      <Dialog title={`Token ${issued.id}`} onClose={onClose} isSticky>
        <p>
          Copy it now: it is shown <strong>once</strong>, and only its hash is kept.
        </p>
        <CopyLine text={issued.secret} label="Copy the token" />
        <div class="actions">
          <Button kind="primary" onPress={onClose}>
            I have it
          </Button>
        </div>
      </Dialog>
    );
  return (
    <Dialog title="New token" onClose={onClose}>
      <NewTokenForm
        onCancel={onClose}
        onIssued={(id, secret) => {
          setIssued({ id, secret });
          onIssued();
        }}
      />
    </Dialog>
  );
}

function NewTokenForm({
  onCancel,
  onIssued,
}: {
  onCancel: () => void;
  onIssued: (id: string, secret: string) => void;
}): JSX.Element {
  const [id, setId] = useState("");
  const [kind, setKind] = useState<NewToken["kind"]>("user");
  const [owner, setOwner] = useState("");
  const [runners, setRunners] = useState("");
  const [targets, setTargets] = useState("");
  const [life, setLife] = useState<string>(LIVES[1][0]);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const submit = (event: Event): void => {
    event.preventDefault();
    setBusy(true);
    setFailure(undefined);
    const names = { runners: wordsOf(runners), targets: wordsOf(targets) };
    const body: NewToken = {
      id: id.trim(),
      kind,
      runners: names.runners,
      ...(kind === "user" && owner.trim() !== "" && { owner: owner.trim() }),
      ...(names.targets.length > 0 && { targets: names.targets }),
      ...(life !== "" && { expires_in_s: Number(life) }),
    };
    call("post", "/api/v1/tokens", { body }).then(
      ({ token }) => onIssued(body.id, token),
      (cause: unknown) => {
        const { message, details } = unreachable(cause);
        setBusy(false);
        setFailure([message, ...details].join(" "));
      },
    );
  };
  return (
    <form onSubmit={submit} noValidate>
      <Field
        label="Name"
        value={id}
        onInput={setId}
        autofocus
        required
        hint="Shown in lists and logs: alice-laptop, host-1."
      />
      <Select label="Kind" value={kind} options={KINDS} onChange={setKind} />
      {kind === "user" && (
        <Field
          label="Owner"
          value={owner}
          onInput={setOwner}
          hint="The user; the name above if it is empty."
        />
      )}
      {kind !== "admin" && (
        <>
          <Field
            label="Runners"
            value={runners}
            onInput={setRunners}
            placeholder="gpu-* db-1"
            hint={
              kind === "runner"
                ? "The ones that its agent registers, with * for any characters."
                : "The ones that it reaches, with * for any characters. Separate them with spaces."
            }
          />
          {kind === "user" && (
            <Field
              label="Targets"
              value={targets}
              onInput={setTargets}
              placeholder="web ssh"
              hint="All of them if it is empty."
            />
          )}
        </>
      )}
      <Select label="Expires after" value={life} options={LIVES} onChange={setLife} />
      {failure !== undefined && (
        <p class="bad-text" role="alert">
          {failure}
        </p>
      )}
      <div class="actions">
        <Button onPress={onCancel}>Cancel</Button>
        <Button kind="primary" type="submit" busy={busy}>
          Create token
        </Button>
      </div>
    </form>
  );
}

function wordsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}
