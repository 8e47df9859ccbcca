/** Publishing by hand, by the rules that hold for every client; and the answer as a sentence. */

import { useState } from "preact/hooks";
import type { Published } from "../../api/answers/messages.ts";
import { ask, Problem } from "../lib/api.ts";
import { may } from "../lib/session.ts";
import { plain } from "../lib/visible.ts";
import { Button, Check, Choice, Failed, Field, Input } from "./basic.tsx";

/** What was typed stays while this tab does, also when somebody has to sign in again. */
const kept = {
  topic: "",
  payload: "",
  qos: "1",
  retain: false,
  form: "text",
  expiry: "",
  delay: "",
  contentType: "",
  responseTopic: "",
  more: false,
};
const sent: { topic: string; payload: string }[] = [];
const SENT = 20;

const FORMS = ["text", "JSON", "hex", "base64"];

/** Octets as the API takes them; throws what is wrong with the text. */
function payloadIn(text: string, form: string): { payload: string; encoding: "text" | "base64" } {
  if (form === "JSON") JSON.parse(text);
  if (form === "hex") {
    const digits = text.replaceAll(/\s/g, "");
    if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error("hex is pairs of 0-9 and a-f");
    const octets = (digits.match(/../g) ?? []).map((pair) => String.fromCharCode(Number.parseInt(pair, 16)));
    return { payload: btoa(octets.join("")), encoding: "base64" };
  }
  return { payload: text, encoding: form === "base64" ? "base64" : "text" };
}

export function Publish({ topic: given }: { readonly topic?: string }) {
  const [values, setValues] = useState({ ...kept, ...(given === undefined ? {} : { topic: given }) });
  const [answer, setAnswer] = useState<Published | undefined>(undefined);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  const [wrong, setWrong] = useState<string | undefined>(undefined);
  const set = (change: Partial<typeof kept>): void => {
    Object.assign(kept, change);
    setValues({ ...values, ...change });
  };
  const publish = async (): Promise<void> => {
    const { topic, payload, form, qos, retain, expiry, delay, contentType, responseTopic } = values;
    setAnswer(undefined);
    setProblem(undefined);
    setWrong(undefined);
    let written: ReturnType<typeof payloadIn>;
    try {
      written = payloadIn(payload, form);
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
      return;
    }
    const properties = {
      ...(contentType === "" ? {} : { contentType }),
      ...(responseTopic === "" ? {} : { responseTopic }),
    };
    try {
      const body = {
        topic,
        ...written,
        qos: Number(qos),
        retain,
        ...(expiry === "" ? {} : { expiry: Number(expiry) }),
        ...(delay === "" ? {} : { delay: Number(delay) }),
        ...(Object.keys(properties).length === 0 ? {} : { properties }),
      };
      setAnswer(await ask<Published>("POST", "/publish", { body }));
      sent.unshift({ topic, payload });
      sent.splice(SENT);
    } catch (error) {
      setProblem(
        error instanceof Problem ? error : new Problem(0, { title: "Not published", detail: String(error) }),
      );
    }
  };
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (may("operator")) void publish();
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter" && event.ctrlKey) event.currentTarget.requestSubmit();
      }}
    >
      <Field label="Topic" wide>
        <Input
          value={values.topic}
          onText={(topic) => set({ topic })}
          required
          placeholder="cmd/pump-7/set"
        />
      </Field>
      <Field label="Payload" error={wrong}>
        <textarea
          value={values.payload}
          onInput={({ currentTarget }) => set({ payload: currentTarget.value })}
        />
      </Field>
      <div class="row">
        <Field label="As">
          <Choice value={values.form} of={FORMS} onChoice={(form) => set({ form })} />
        </Field>
        <Field label="QoS">
          <Choice value={values.qos} of={["0", "1", "2"]} onChoice={(qos) => set({ qos })} />
        </Field>
        <Check label="retain" checked={values.retain} onCheck={(retain) => set({ retain })} />
        <Button small kind="quiet" pressed={values.more} onClick={() => set({ more: !values.more })}>
          more
        </Button>
      </div>
      {values.more ? (
        <div class="row">
          <Field label="Expires after (s)">
            <Input type="number" min={1} value={values.expiry} onText={(expiry) => set({ expiry })} />
          </Field>
          <Field label="Delay (s)">
            <Input type="number" min={0} value={values.delay} onText={(delay) => set({ delay })} />
          </Field>
          <Field label="Content type">
            <Input value={values.contentType} onText={(contentType) => set({ contentType })} />
          </Field>
          <Field label="Response topic">
            <Input value={values.responseTopic} onText={(responseTopic) => set({ responseTopic })} />
          </Field>
        </div>
      ) : null}
      <div class="row">
        <Button type="submit" kind="main" icon="publish" needs="operator">
          Publish
        </Button>
        <span class="second">Ctrl+Enter</span>
        {sent.length === 0 ? null : (
          <Field label="Sent before">
            <Choice
              value=""
              of={[
                ["", "take one again"],
                ...sent.map(
                  ({ topic, payload }, index) =>
                    [String(index), plain(`${topic} ${payload}`.slice(0, 60))] as const,
                ),
              ]}
              onChoice={(index) => {
                const again = sent[Number(index)];
                if (index !== "" && again !== undefined) set(again);
              }}
            />
          </Field>
        )}
      </div>
      {answer === undefined ? null : (
        <output class={answer.accepted ? "said ok" : "said"}>{answer.detail}</output>
      )}
      {problem === undefined ? null : <Failed problem={problem} />}
    </form>
  );
}
