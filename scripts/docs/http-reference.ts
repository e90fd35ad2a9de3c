/** docs/reference/openapi.json and http.md, from the routes themselves. */
import { adminRoutes, openAdminServer } from '../../src/adapters/admin-http/index.ts'
import { liteLlmRoutes } from '../../src/adapters/litellm-http/index.ts'
import { z } from 'zod'

const Document = z.object({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.object({ summary: z.string().optional(), description: z.string().optional() })),
  ),
})

export async function httpReference(): Promise<Record<string, string>> {
  // Only the routes' descriptions are read: nothing is called.
  const openapi = await describe(adminRoutes(neverCalled() as Parameters<typeof adminRoutes>[0]))
  const liteLlm = await describe(liteLlmRoutes(neverCalled() as Parameters<typeof liteLlmRoutes>[0]))
  return {
    'docs/reference/openapi.json': `${JSON.stringify(openapi, null, 2)}\n`,
    'docs/reference/http.md': `<!-- Made by npm run docs. -->
# HTTP

All on one port (8080 unless the spec or a flag says otherwise).

## For clients of models: with a key
| route | |
|---|---|
| \`POST /v1/chat/completions\` | OpenAI's, streaming and not |
| \`POST /v1/completions\` | OpenAI's, streaming and not; \`suffix\` fills in the middle |
| \`POST /v1/responses\` | OpenAI's, streaming and not; \`previous_response_id\` goes back to answers kept in the gateway's memory for a day |
| \`GET\`, \`DELETE /v1/responses/{id}\` | a kept answer, for the key that asked for it |
| \`POST /v1/messages\` | Anthropic's, streaming and not; errors and \`GET /v1/models\` in its shape too |
| \`POST /v1/messages/count_tokens\` | Anthropic's |
| \`POST /v1/embeddings\` | OpenAI's; numbers or base64 |
| \`POST /v1/rerank\` | Cohere's; also \`/v2/rerank\` |
| \`POST /v1/audio/transcriptions\` | OpenAI's, a form with \`file\` |
| \`POST /v1/audio/speech\` | OpenAI's |
| \`POST /v1/tokenize\` | vLLM's: \`prompt\` or \`messages\`, answered by \`count\`, \`tokens\`, \`max_model_len\` |
| \`GET /v1/models\`, \`GET /v1/models/{id}\` | \`data[]\` as OpenAI's; beside it \`models[]\` with \`name\`, \`version\`, \`status\` (\`loaded\`, \`loading\`, \`stopped\`, \`unavailable\`). Only what the key may use. |
| \`POST /v1/feedback\` | \`{request_id, score: 1 or -1, comment?}\`: what somebody thought of an answer of the last 7 days, by its \`x-request-id\`; for the key that asked. The last word counts, and of a comment only a digest is kept. \`checked\` is false where another gateway answered: then the controller looks whose request it was. |

Each also without the \`/v1\`. The key goes as \`Authorization: Bearer\` or \`x-api-key\`; a token of an identity provider in
\`gateway.jwt\` does instead. Answers carry \`x-request-id\` (Holdfast's own, a UUIDv7; a client's is kept beside it),
\`x-holdfast-version\`, \`x-holdfast-flags\` (where flags were on) and the \`x-litellm-*\` headers that LiteLLM's clients read.
What works with which engine: [conformance](conformance.md).
With the admin key, \`model\` may also be a version's whole name: that version answers, outside of any release, and nobody
stands in for it.
What can go wrong: [errors](errors.md).

## Health: without a key
| route | |
|---|---|
| \`GET /health\`, \`GET /v1/health\` | 200 while the gateway runs, with how many models are loaded, and which answer (\`healthy_endpoints\`) |
| \`GET /health/liveliness\` | 200 while the process runs |
| \`GET /health/readiness\` | 200 when it should be given requests, else 503 with why |
| \`GET /metrics\` | [metrics](metrics.md), without a key on loopback only |

## Administration: with the admin key
Described in full by [openapi.json](openapi.json), which the service also answers at \`GET /api/v1/openapi.json\`.

| route |
|---|
${rowsOf(openapi)}

## For scripts written for LiteLLM Proxy
With LiteLLM's fields in and out ([what is different](../from-litellm.md#4-let-the-scripts-go-on)). With the admin key, but
\`/key/info\` and \`/key/health\` (about the key itself) and what tells of models take any key. A field that Holdfast can't
honour is refused by name, never ignored; what LiteLLM has beside these is a 404 that names our own call, where there is one.

| route |
|---|
${rowsOf(liteLlm)}
`,
  }
}

async function describe(routes: ReturnType<typeof adminRoutes>): Promise<unknown> {
  const app = await openAdminServer({ version: '1', log: { error: () => {} } })
  await app.register(routes)
  await app.ready()
  const openapi: unknown = app.swagger()
  await app.close()
  return openapi
}

function rowsOf(openapi: unknown): string {
  return Object.entries(Document.parse(openapi).paths)
    .flatMap(([path, methods]) => Object.keys(methods).map(method => `| \`${method.toUpperCase()} ${path}\` |`))
    .toSorted()
    .join('\n')
}

function neverCalled(): unknown {
  return new Proxy(() => {}, { get: () => neverCalled() })
}
