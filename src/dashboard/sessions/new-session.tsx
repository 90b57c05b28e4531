/** A new session, for oneself, or by an admin for another user. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { unreachable } from "../api/api-error.ts";
import { call } from "../api/client.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Field } from "../parts/field.tsx";
import { isAdmin } from "../state/sign-in.ts";
import { report } from "../state/toasts.ts";

export function NewSessionDialog({
  onClose,
  onCreated,
}: {
  onClose: () => void;
  onCreated: () => void;
}): JSX.Element {
  const [name, setName] = useState("");
  const [owner, setOwner] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const submit = (event: Event): void => {
    event.preventDefault();
    setBusy(true);
    setFailure(undefined);
    const body = {
      ...(name.trim() !== "" && { name: name.trim() }),
      ...(owner.trim() !== "" && { owner: owner.trim() }),
    };
    call("post", "/api/v1/sessions", { body }).then(
      (session) => {
        report("ok", `${session.name} starts on ${session.wolf_instance_id}`);
        onCreated();
        onClose();
      },
      (cause: unknown) => {
        const { message, details } = unreachable(cause);
        setBusy(false);
        setFailure([message, ...details].join(" "));
      },
    );
  };
  return (
    <Dialog title="New session" onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <Field
          label="Name"
          value={name}
          onInput={setName}
          autofocus
          hint="Shown in lists; “session” if it is empty."
        />
        {isAdmin.value && (
          <Field
            label="Owner"
            value={owner}
            onInput={setOwner}
            hint="The user whose it is; you if it is empty."
          />
        )}
        {failure !== undefined && (
          <p class="bad-text" role="alert">
            {failure}
          </p>
        )}
        <div class="actions">
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy}>
            Create session
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
