/** The spec's form as JSON Schema (of what people write, before defaults and units). */
import { z } from 'zod'
import { specSchema } from './schema.ts'

/** The part of JSON Schema that the spec uses. */
export type SchemaNode = {
  type?: string | string[]
  title?: string
  description?: string
  default?: unknown
  enum?: unknown[]
  const?: unknown
  properties?: Record<string, SchemaNode>
  required?: string[]
  items?: SchemaNode
  additionalProperties?: SchemaNode | boolean
}

/** For editors: completion, hover texts and checks while typing. */
export function specJsonSchema(): SchemaNode {
  return known().schema
}

/** The keys that may stand at a path of a document; none when its names belong to somebody else. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  let node: SchemaNode | undefined = known().schema
  for (const step of path) {
    if (typeof step === 'number') node = node?.items
    else
      node =
        ownProperty(node?.properties, String(step)) ??
        (typeof node?.additionalProperties === 'object' ? node.additionalProperties : undefined)
  }
  return Object.keys(node?.properties ?? {})
}

const ownProperty = (map: Record<string, SchemaNode> | undefined, key: string): SchemaNode | undefined =>
  map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined

let made: { schema: SchemaNode } | null = null
function known(): { schema: SchemaNode } {
  // zod types the whole of JSON Schema; the spec uses the part that SchemaNode names.
  made ??= { schema: z.toJSONSchema(specSchema, { io: 'input' }) as SchemaNode }
  return made
}
