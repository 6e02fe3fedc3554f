// Drives a Sender for the tests: one JSON job on stdin, one JSON report on stdout.
import { Sender, type EventType, type SenderOptions, type Verdict } from "./hourmark.js";

interface Job {
  readonly options: SenderOptions;
  readonly events: readonly { readonly type: string; readonly payload: object; readonly id?: string; readonly big?: string }[];
  readonly closeMs: number;
}

let text = "";
for await (const piece of process.stdin) text += String(piece);
const job = JSON.parse(text) as Job;
const warned: string[] = [];
const sender = new Sender({ ...job.options, warn: (message) => warned.push(message) });
const verdicts: Promise<Verdict>[] = [];
const thrown: string[] = [];
for (const event of job.events) {
  const type: EventType<object> = { eventType: event.type, revision: 0, fingerprint: "" };
  const payload = event.big === undefined ? event.payload : { ...event.payload, big: BigInt(event.big), bytes: new Uint8Array([0, 255]), at: new Date(0) };
  try {
    verdicts.push(sender.send(type, payload, event.id === undefined ? {} : { id: event.id }));
  } catch (error) {
    thrown.push(String(error));
  }
}
const left = await sender.close(job.closeMs);
process.stdout.write(JSON.stringify({ verdicts: await Promise.all(verdicts), thrown, left, warned }));
