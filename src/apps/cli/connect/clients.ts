/** What each client wants to be told: files, environment, and what to click, from one address, key and model. */

import { stringify } from 'yaml'

export type Connection = {
  /** Of the service, without a path: `http://127.0.0.1:8080`. */
  url: string
  /** The key, or what stands for it. */
  key: string
  model: string
  /** A model for vectors, where there is one. */
  embed: string | null
  /** How `model` was taught to fill a gap, as a template of `prefix` and `suffix`; `null`: it was not, as far as is known. */
  fim: string | null
}

/** One thing to do. `file`: put this text there; `environment`: set these; `click`: enter this; `code`: run this. */
export type Setting =
  | { kind: 'file'; path: string; text: string }
  | { kind: 'environment'; variables: Record<string, string> }
  | { kind: 'click'; where: string; fields: Record<string, string> }
  | { kind: 'code'; language: 'sh' | 'python' | 'ts'; text: string }

export type ClientSettings = { title: string; settings: Setting[]; notes: string[] }

const json = (value: unknown): string => JSON.stringify(value, null, 2)

/** By the name that `holdfast connect` takes. */
export const clients: { readonly [name: string]: (connection: Connection) => ClientSettings } = {
  'claude-code': ({ url, key, model }) => ({
    title: 'Claude Code',
    settings: [
      {
        kind: 'file',
        path: '~/.claude/settings.json',
        text: json({
          env: {
            ANTHROPIC_BASE_URL: url,
            ANTHROPIC_AUTH_TOKEN: key,
            ANTHROPIC_MODEL: model,
            ANTHROPIC_DEFAULT_OPUS_MODEL: model,
            ANTHROPIC_DEFAULT_SONNET_MODEL: model,
            ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
          },
        }),
      },
    ],
    notes: [
      'The address has no /v1: Claude Code adds it.',
      'Its requests hold tens of thousands of tokens of tools and instructions: the engine needs a context of 64k or more.',
      'It takes the context to be 200,000 tokens: set CLAUDE_CODE_MAX_CONTEXT_TOKENS beside the others to what the engine has, so that it makes long conversations shorter in time.',
    ],
  }),
  'codex': ({ url, key, model }) => ({
    title: 'Codex CLI',
    settings: [
      {
        kind: 'file',
        path: '~/.codex/config.toml',
        text: [
          `model = ${JSON.stringify(model)}`,
          'model_provider = "holdfast"',
          '',
          '[model_providers.holdfast]',
          'name = "Holdfast"',
          `base_url = ${JSON.stringify(`${url}/v1`)}`,
          'env_key = "HOLDFAST_API_KEY"',
          'wire_api = "responses"',
        ].join('\n'),
      },
      { kind: 'environment', variables: { HOLDFAST_API_KEY: key } },
    ],
    notes: [
      'It takes the context to be 272,000 tokens, and says that it has no metadata of the model: put model_context_window = <what the engine has> above model, so that it makes long conversations shorter in time.',
    ],
  }),
  'openwebui': ({ url, key, embed }) => ({
    title: 'OpenWebUI',
    settings: [
      {
        kind: 'environment',
        variables: {
          OPENAI_API_BASE_URL: `${url}/v1`,
          OPENAI_API_KEY: key,
          BYPASS_MODEL_ACCESS_CONTROL: 'true',
          ENABLE_FORWARD_USER_INFO_HEADERS: 'true',
          ...(embed === null
            ? {}
            : {
                RAG_EMBEDDING_ENGINE: 'openai',
                RAG_OPENAI_API_BASE_URL: `${url}/v1`,
                RAG_OPENAI_API_KEY: key,
                RAG_EMBEDDING_MODEL: embed,
              }),
        },
      },
      {
        kind: 'click',
        where: 'Admin Panel → Settings → Connections → OpenAI API → +',
        fields: { URL: `${url}/v1`, Key: key },
      },
    ],
    notes: [
      'Either is enough, but the environment counts only at its first start.',
      'Give each team its own key (holdfast key create --team <team>) and its own connection or OpenWebUI: models appear there as soon as the team may use them, and go when it may not.',
      'BYPASS_MODEL_ACCESS_CONTROL lets every user see what the key may use; without it an administrator of OpenWebUI has to publish each model.',
    ],
  }),
  'continue': ({ url, key, model, embed, fim }) => ({
    title: 'Continue',
    settings: [
      {
        kind: 'file',
        path: '~/.continue/config.yaml',
        text: stringify({
          name: 'Holdfast',
          version: '1.0.0',
          schema: 'v1',
          models: [
            {
              ...inContinue({ url, key, name: model }),
              roles: ['chat', 'edit', 'apply', ...(fim === null ? [] : ['autocomplete'])],
              // By itself it guesses from the model's name how to ask, and asks unknown names as StarCoder.
              ...(fim === null ? {} : { autocompleteOptions: { template: fim } }),
            },
            ...(embed === null ? [] : [{ ...inContinue({ url, key, name: embed }), roles: ['embed'] }]),
          ],
        }).trimEnd(),
      },
    ],
    notes:
      fim === null
        ? [`It completes no code by itself with ${model}: how that was taught to fill gaps is not known here.`]
        : [],
  }),
  'cline': ({ url, key, model }) => ({
    title: 'Cline (and Roo Code)',
    settings: [
      {
        kind: 'click',
        where: 'the gear → API Configuration',
        fields: { 'API Provider': 'OpenAI Compatible', 'Base URL': `${url}/v1`, 'API Key': key, 'Model ID': model },
      },
    ],
    notes: [
      `Its command line: cline auth -p openai -b ${url}/v1 -k ${key} -m ${model}`,
      'Under Model Configuration set the context window to what the engine has: Cline cannot ask for it.',
    ],
  }),
  'cursor': ({ url, key, model }) => ({
    title: 'Cursor',
    settings: [
      {
        kind: 'click',
        where: 'Settings → Models → API Keys',
        fields: { 'OpenAI API Key': key, 'Override OpenAI Base URL': `${url}/v1` },
      },
      { kind: 'click', where: 'Settings → Models → + Add model', fields: { Name: model } },
    ],
    notes: [
      'Cursor’s own servers make the calls, so the address has to be reachable from the internet over https: give it as --url https://….',
      'Only give it a key that is limited to what Cursor may use.',
    ],
  }),
  'langchain': ({ url, key, model }) => ({
    title: 'LangChain',
    settings: [
      {
        kind: 'code',
        language: 'python',
        text: [
          'from langchain_openai import ChatOpenAI',
          '',
          `llm = ChatOpenAI(base_url=${JSON.stringify(`${url}/v1`)}, api_key=${JSON.stringify(key)}, model=${JSON.stringify(model)}, stream_usage=True)`,
          'print(llm.invoke("Hello!").content)',
        ].join('\n'),
      },
    ],
    notes: [],
  }),
  'ai-sdk': ({ url, key, model }) => ({
    title: 'AI SDK',
    settings: [
      {
        kind: 'code',
        language: 'ts',
        text: [
          "import { createOpenAICompatible } from '@ai-sdk/openai-compatible'",
          "import { generateText } from 'ai'",
          '',
          'const holdfast = createOpenAICompatible({',
          "  name: 'holdfast',",
          `  baseURL: ${JSON.stringify(`${url}/v1`)},`,
          `  apiKey: ${JSON.stringify(key)},`,
          '  includeUsage: true,',
          '})',
          `const { text } = await generateText({ model: holdfast(${JSON.stringify(model)}), prompt: 'Hello!' })`,
          'console.log(text)',
        ].join('\n'),
      },
    ],
    notes: [],
  }),
  'openai-python': ({ url, key, model }) => ({
    title: 'OpenAI’s library for Python',
    settings: [
      {
        kind: 'code',
        language: 'python',
        text: [
          'from openai import OpenAI',
          '',
          `client = OpenAI(base_url=${JSON.stringify(`${url}/v1`)}, api_key=${JSON.stringify(key)})`,
          `answer = client.chat.completions.create(model=${JSON.stringify(model)}, messages=[{"role": "user", "content": "Hello!"}])`,
          'print(answer.choices[0].message.content)',
        ].join('\n'),
      },
    ],
    notes: [],
  }),
  'openai-node': ({ url, key, model }) => ({
    title: 'OpenAI’s library for Node',
    settings: [
      {
        kind: 'code',
        language: 'ts',
        text: [
          "import OpenAI from 'openai'",
          '',
          `const client = new OpenAI({ baseURL: ${JSON.stringify(`${url}/v1`)}, apiKey: ${JSON.stringify(key)} })`,
          'const answer = await client.chat.completions.create({',
          `  model: ${JSON.stringify(model)},`,
          "  messages: [{ role: 'user', content: 'Hello!' }],",
          '})',
          'console.log(answer.choices[0]?.message.content)',
        ].join('\n'),
      },
    ],
    notes: [],
  }),
  'curl': ({ url, key, model }) => ({
    title: 'curl',
    settings: [
      {
        kind: 'code',
        language: 'sh',
        text: [
          `curl ${url}/v1/chat/completions \\`,
          `  -H ${quote(`authorization: Bearer ${key}`)} \\`,
          "  -H 'content-type: application/json' \\",
          `  -d ${quote(JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }] }))}`,
        ].join('\n'),
      },
    ],
    notes: [],
  }),
}

/** For a shell: a variable in double quotes, anything else in single ones. */
const quote = (text: string): string =>
  text.includes('$HOLDFAST_KEY') ? `"${text}"` : `'${text.replaceAll("'", String.raw`'\''`)}'`

const inContinue = ({ url, key, name }: { url: string; key: string; name: string }) => ({
  name,
  provider: 'openai',
  model: name,
  apiBase: `${url}/v1`,
  apiKey: key,
})
