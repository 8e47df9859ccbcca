/** Changing one key of the configuration: tried first, with what the change does, then applied; and taken back. */

import { useState } from "preact/hooks";
import type { Changed, Setting } from "../../api/answers/config.ts";
import { ask, request } from "../lib/api.ts";
import { Field, Text } from "../parts/basic.tsx";
import { askFirst, Dialog, tell } from "../parts/dialog.tsx";
import { Trial } from "../parts/trial.tsx";

const written = (value: unknown): string =>
  value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value, undefined, 1);

/** A text stays one; else it is JSON where it can be read as that. */
function readAs(text: string, before: unknown): unknown {
  if (typeof before === "string") return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

const patchOf = (key: string, value: unknown): object =>
  key.split(".").reduceRight<unknown>((inner, step) => ({ [step]: inner }), value) as object;

export function ChangeSetting({
  setting,
  close,
  done,
}: {
  readonly setting: Setting;
  close(): void;
  done(): void;
}) {
  const { key, value, takes, meaning } = setting;
  const [text, setText] = useState(written(value));
  return (
    <Dialog title={<Text text={key} />} close={close}>
      <Trial
        method="dialog"
        of={text}
        send={(how) => request("PATCH", "/config", { ...how, body: patchOf(key, readAs(text, value)) })}
        done={() => {
          tell(`${key} is changed`);
          done();
          close();
        }}
        close={close}
      >
        <p>
          <Text text={meaning} mono={false} />
        </p>
        <Field label="Value" hint={takes === "" ? undefined : <>Takes {takes}.</>}>
          <textarea
            class="mono"
            rows={Math.min(12, Math.max(2, text.split("\n").length))}
            spellcheck={false}
            value={text}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
        </Field>
      </Trial>
    </Dialog>
  );
}

/** A key, or all that was changed in a section, is again as it was without the change. */
export const takeBack = (key: string, again: () => void): void =>
  askFirst({
    title: "Take back a change",
    effect: (
      <>
        <Text text={key} /> is again what the file, the environment or the default says.
      </>
    ),
    verb: "Take it back",
    bad: false,
    async act() {
      const { changes } = await ask<Changed>("DELETE", `/config/${encodeURIComponent(key)}`);
      const late = changes.some(({ effect }) => effect === "gateway" || effect === "restart");
      tell(late ? "Taken back; a part of it takes a restart" : "Taken back");
      again();
    },
  });
