// Confluent's serializers for JavaScript, asked from Python: one JSON object in, one out.
// {"url", "topic", "write": [value...], "config", "schema"} -> {"written": [base64...]}; {"url", "topic", "read": [base64...]} -> {"found": [value...]}
"use strict";

const { AvroDeserializer, AvroSerializer, SchemaRegistryClient, SerdeType } = require("@confluentinc/schemaregistry");

// Bytes are {"$bytes": base64} on the way in and base64 on the way out; longs beyond 2^53 come out as text.
const sent = (_name, value) => (value && value.$bytes !== undefined ? Buffer.from(value.$bytes, "base64") : value);
const plain = (_name, value) =>
  typeof value === "bigint" ? String(value) : value && value.type === "Buffer" ? Buffer.from(value.data).toString("base64") : value;

async function main(asked) {
  const client = new SchemaRegistryClient({ baseURLs: [asked.url] });
  const answer = {};
  if (asked.schema) {
    answer.id = await client.register(`${asked.topic}-value`, asked.schema);
    answer.latest = await client.getLatestSchemaMetadata(`${asked.topic}-value`);
    answer.subjects = await client.getAllSubjects();
    answer.compatible = await client.testSubjectCompatibility(`${asked.topic}-value`, asked.schema);
  }
  if (asked.write) {
    const serializer = new AvroSerializer(client, SerdeType.VALUE, asked.config ?? { useLatestVersion: true });
    answer.written = [];
    for (const value of asked.write) {
      answer.written.push((await serializer.serialize(asked.topic, value)).toString("base64"));
    }
  }
  if (asked.read) {
    const deserializer = new AvroDeserializer(client, SerdeType.VALUE, asked.config ?? {});
    answer.found = [];
    for (const bytes of asked.read) {
      answer.found.push(await deserializer.deserialize(asked.topic, Buffer.from(bytes, "base64")));
    }
  }
  return answer;
}

let text = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () =>
  main(JSON.parse(text, sent)).then(
    (answer) => process.stdout.write(JSON.stringify(answer, plain), () => process.exit(0)),
    (error) => process.stderr.write(`${error?.stack ?? error}\n`, () => process.exit(1)),
  ),
);
