/** LiteLLM's calls that tell of models: those the caller may use, and what answers for them. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { buildAccessTable, permittedModels } from '../../domain/access/index.ts'
import type { AccessStore, Principal } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { ModelRoute, ReplicaRoute, Snapshot, Task, VersionRoute } from '../../domain/serving/index.ts'
import { callerOf } from './caller.ts'
import { cutPage, page, pageSize, tags, text } from './fields.ts'
import { refuseUnsupported } from './unsupported.ts'

export type ModelRouteParts = {
  store: Pick<AccessStore, 'key' | 'teams'>
  snapshot: () => Pick<Snapshot, 'models' | 'versions'>
}

const modes: Record<Task, string> = {
  chat: 'chat',
  embed: 'embedding',
  rerank: 'rerank',
  transcribe: 'audio_transcription',
  speak: 'audio_speech',
}

/** Engines know their context and people their costs; Holdfast was told neither. */
const unknown = {
  max_input_tokens: null,
  max_output_tokens: null,
  input_cost_per_token: null,
  output_cost_per_token: null,
}

const One = z.looseObject({ litellm_model_id: text })
const Paged = z.looseObject({ page, size: pageSize(50), model: text, modelId: text, search: text })
const Group = z.looseObject({ model_group: text })

export const modelRoutes =
  ({ store, snapshot }: ModelRouteParts): FastifyPluginAsyncZod =>
  async app => {
    /** What the caller may use now, with the version that is live. */
    async function served(caller: Principal): Promise<{ model: ModelRoute; version: VersionRoute }[]> {
      const { models, versions } = snapshot()
      const key = caller.kind === 'key' ? await store.key(caller.id) : null
      const table = buildAccessTable({
        epoch: '',
        seq: 0,
        adminHash: '',
        keys: key === null ? [] : [key],
        teams: await store.teams(),
      })
      const permitted = new Set(
        permittedModels(
          table,
          caller,
          models.map(model => model.name),
        ),
      )
      return models.flatMap(model => {
        const version = versions.find(each => each.name === model.live)
        return version === undefined || !permitted.has(model.name) ? [] : [{ model, version }]
      })
    }

    for (const url of ['/model/info', '/v1/model/info']) {
      app.get(url, { schema: { tags, querystring: One } }, async request => {
        const { litellm_model_id: id, ...rest } = request.query
        refuseUnsupported(rest)
        const caller = callerOf(request)
        const found = (await served(caller)).filter(({ version }) => id === null || version.name === id)
        if (id !== null && found.length === 0)
          throw new FaultError({ kind: 'not-found', what: 'model with the id', name: id })
        return { data: found.map(each => toModelInfo(each, caller)) }
      })
    }

    app.get('/v2/model/info', { schema: { tags, querystring: Paged } }, async request => {
      const { page: at, size, model, modelId: id, search, ...rest } = request.query
      refuseUnsupported(rest)
      const caller = callerOf(request)
      const found = (await served(caller)).filter(
        each =>
          (model === null || each.model.name === model) &&
          (id === null || each.version.name === id) &&
          (search === null || each.model.name.toLowerCase().includes(search.toLowerCase())),
      )
      const { items, total, pages } = cutPage(found, { page: at, size })
      return {
        data: items.map(each => toModelInfo(each, caller)),
        total_count: total,
        current_page: at,
        total_pages: pages,
        size,
      }
    })

    app.get('/model_group/info', { schema: { tags, querystring: Group } }, async request => {
      const { model_group: group, ...rest } = request.query
      refuseUnsupported(rest)
      const found = (await served(callerOf(request))).filter(({ model }) => group === null || model.name === group)
      return {
        data: found.map(({ model, version }) => ({
          model_group: model.name,
          providers: [version.engine],
          mode: modes[version.task],
          ...unknown,
          tpm: null,
          rpm: null,
        })),
      }
    })
  }

/** `id` is the version: what answered, as `x-holdfast-version` tells it. Where engines are is the administrator's to know. */
function toModelInfo({ model, version }: { model: ModelRoute; version: VersionRoute }, caller: Principal) {
  const bases = version.replicas.map(replica => ({ id: replica.id, api_base: baseOf(replica) }))
  const [only] = bases.length === 1 ? bases : []
  const told = caller.kind === 'admin'
  return {
    model_name: model.name,
    litellm_params: {
      model: `${version.engine}/${version.servedName ?? model.name}`,
      api_base: told ? (only?.api_base ?? null) : null,
    },
    model_info: {
      id: version.name,
      db_model: false,
      mode: modes[version.task],
      litellm_provider: version.engine,
      max_tokens: null,
      ...unknown,
      ...(told ? { replicas: bases } : {}),
    },
  }
}

/** Without what a spec may not hold but an address could; `null`: an engine inside Holdfast. */
function baseOf({ address }: ReplicaRoute): string | null {
  if (!('url' in address)) return null
  const url = new URL(address.url)
  url.username = ''
  url.password = ''
  return url.href
}
