// @aws-sdk/client-sagemaker-runtime: whole, streamed, and its errors.
//
// node with_js.mjs URL ENDPOINT [DIALECT], in the folder where the package was installed by npm

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "here.js"));
const { SageMakerRuntimeClient, InvokeEndpointCommand, InvokeEndpointWithResponseStreamCommand } =
  require("@aws-sdk/client-sagemaker-runtime");
const [url, endpoint, dialect = "auto"] = process.argv.slice(2);
if (!endpoint) throw new Error("usage: node with_js.mjs URL ENDPOINT [DIALECT]");
process.env.AWS_ACCESS_KEY_ID ??= "AKIDLOCAL";
process.env.AWS_SECRET_ACCESS_KEY ??= "no-secret";
const runtime = new SageMakerRuntimeClient({ endpoint: url, region: process.env.AWS_REGION ?? "us-east-1" });
const alarm = setTimeout(() => fail("it hangs"), 120_000);

const question = "Say hello to Zoë 🎉 in three words";
const prompt = `<s>[INST] ${question} [/INST]`;
const bodies = {
  workshop: (more) => ({ prompt, max_tokens_to_sample: 32, ...more }),
  inputs: ({ stream, ...more }) => ({ inputs: prompt, parameters: { max_new_tokens: 32, ...more }, stream }),
  chat: (more) => ({ messages: [{ role: "user", content: question }], max_tokens: 32, ...more }),
  completion: (more) => ({ prompt, max_tokens: 32, ...more }),
};
const kinds = { auto: ["workshop", "inputs", "chat"], workshop: ["workshop"], chat: ["chat"], completion: ["completion"] };
const atOnce = ["hf", "jumpstart"];

function fail(what) {
  console.log(`FAILED ${what}`);
  process.exit(1);
}

function textOf(answer) {
  if (Array.isArray(answer)) return answer.map(textOf).join("");
  if (answer.outputs) return answer.outputs.join("");
  if (answer.token) return answer.token.text;
  const choice = answer.choices?.[0];
  if (answer.choices) return choice?.delta?.content ?? choice?.message?.content ?? choice?.text ?? "";
  return answer.generated_text ?? answer.generation ?? "";
}

function textsOf(stream) {
  const lines = stream.split("\n").map((line) => line.trim().replace(/^data:\s*/, ""));
  return lines.filter((line) => line && line !== "[DONE]").map((line) => textOf(JSON.parse(line)));
}

function good(what, text, pieces = "") {
  if (!text.trim() || text.includes("\ufffd")) fail(`${what}: no text, or broken text: ${JSON.stringify(text)}`);
  console.log(`ok ${what}: ${JSON.stringify(text.slice(0, 60))}${pieces}`);
}

async function refused(what, command, names) {
  try {
    await runtime.send(command);
  } catch (error) {
    const shown = [error.name, error.$metadata?.httpStatusCode, error.OriginalStatusCode ?? ""].join(" ");
    if (!names.includes(error.name)) fail(`${what}: ${shown} - ${error.message}`);
    console.log(`ok ${what}: ${shown} - ${error.message.slice(0, 150)}`);
    return;
  }
  fail(`${what}: the server took it`);
}

const asked = (body, name = endpoint) => ({
  EndpointName: name, ContentType: "application/json", Body: Buffer.from(JSON.stringify(body)),
});
console.log(`@aws-sdk/client-sagemaker-runtime ${require("@aws-sdk/client-sagemaker-runtime/package.json").version}`);
for (const kind of kinds[dialect] ?? ["inputs"]) {
  const whole = await runtime.send(new InvokeEndpointCommand(asked(bodies[kind]({}))));
  good(`InvokeEndpoint ${kind}`, textOf(JSON.parse(Buffer.from(whole.Body).toString("utf-8"))));
  const more = kind === "workshop" ? {} : { stream: true };
  const streamed = await runtime.send(new InvokeEndpointWithResponseStreamCommand(asked(bodies[kind](more))));
  const parts = [];
  for await (const event of streamed.Body) parts.push(Buffer.from(event.PayloadPart.Bytes));
  const texts = textsOf(Buffer.concat(parts).toString("utf-8"));
  if (!atOnce.includes(dialect) && texts.filter(Boolean).length < 2) fail(`${kind} is not streamed`);
  good(`InvokeEndpointWithResponseStream ${kind}, ${streamed.ContentType}`, texts.join(""), ` in ${texts.length} pieces`);
  const wrong = bodies[kind]({ top_p: 9 });
  await refused(`wrong top_p ${kind}`, new InvokeEndpointCommand(asked(wrong)), ["ModelError"]);
  await refused(`wrong top_p ${kind}, streamed`, new InvokeEndpointWithResponseStreamCommand(asked(wrong)), ["ModelError"]);
}
const nobody = new InvokeEndpointCommand(asked({}, "no-such-endpoint"));
await refused("no such endpoint", nobody, ["ValidationError"]);
clearTimeout(alarm);
