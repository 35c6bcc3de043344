// Driver of Vercel's AI SDK, versions 6 and 7, with OpenRouter's provider.
//
// Calls come in on stdin, one at a time; the answer on stdout says that their spans are exported.
// A call that offers a tool makes two requests, as the SDK runs the tool.

import { createInterface } from "node:readline";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import * as ai from "ai";
import { z } from "zod";

const provider = new NodeTracerProvider({
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(), { scheduledDelayMillis: 600_000 })],
});
provider.register();

if (ai.registerTelemetry) {
  // Version 7 has its spans in a package of their own.
  const { OpenTelemetry } = await import("@ai-sdk/otel");
  ai.registerTelemetry(new OpenTelemetry());
}

// What OpenRouter reported is part of the outputs (`ai.response.providerMetadata`).
const telemetry = { isEnabled: true, recordInputs: false, recordOutputs: true };

let script = ""; // of the call that is being made: as a header of the SDK it would be on the spans

const openrouter = createOpenRouter({
  apiKey: process.env.OPENROUTER_API_KEY,
  fetch: (url, init) => {
    const headers = new Headers(init.headers);
    headers.set("X-Fake-Scenario", script);
    return fetch(String(url).replace("https://openrouter.ai", process.env.FAKE_URL), { ...init, headers });
  },
});

const weather = ai.tool({
  description: "Say what the weather is.",
  inputSchema: z.object({}),
  execute: async () => "rain",
});

async function makeCall(call) {
  script = call.script;
  const common = { maxRetries: 0, experimental_telemetry: telemetry };
  if (call.api === "embeddings") {
    await ai.embed({ ...common, model: openrouter.textEmbeddingModel(call.model), value: "Say hello." });
    return;
  }
  const kind = call.api === "completions" ? openrouter.completion : openrouter.chat;
  const settings = {
    ...common,
    model: kind(call.model, { extraBody: call.body }),
    prompt: "Say hello.",
    ...(call.tool && { tools: { weather }, stopWhen: ai.stepCountIs(3) }),
  };
  if (!call.stream) {
    await ai.generateText(settings);
    return;
  }
  const abort = new AbortController();
  const result = ai.streamText({ ...settings, abortSignal: abort.signal, onError: () => {} });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta" && call.abort) {
      abort.abort();
    }
    if (part.type === "error") {
      console.error(`${call.label}: ${part.error.name ?? JSON.stringify(part.error)}`);
    }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  try {
    await makeCall(call);
  } catch (error) {
    console.error(`${call.label}: ${error.name}: ${String(error.message).slice(0, 200)}`);
  }
  await provider.forceFlush();
  process.stdout.write(`done ${call.label}\n`);
}
