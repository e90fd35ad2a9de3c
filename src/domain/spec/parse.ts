/** From a document to a spec, or to everything that is wrong with it. */
import { mapOf } from './document.ts'
import type { SpecProblem } from './problem.ts'
import { toProblems } from './problem.ts'
import { checkReferences } from './references.ts'
import { checkRules } from './rules.ts'
import { specSchema } from './schema.ts'
import type { Spec } from './schema.ts'

export type SpecReading = { ok: true; spec: Spec } | { ok: false; problems: SpecProblem[] }

/**
 * Reads a document (YAML's or JSON's values). Never throws: all problems are told at once, those of form, of references
 * and of rules. An empty document is a working spec. Prompts that name a file have no text yet: see `inlinePrompts`.
 */
export function parseSpec(document: unknown): SpecReading {
  const written = withoutEmptySections(document ?? {})
  const parsed = specSchema.safeParse(written)
  const problems = [
    ...(parsed.success ? [] : toProblems(parsed.error.issues, written)),
    ...checkReferences(written),
    ...checkRules(written),
  ]
  if (problems.length === 0 && parsed.success) return { ok: true, spec: parsed.data }
  return { ok: false, problems }
}

/** `hosts:` with every line below it commented out is the same as no `hosts`. */
function withoutEmptySections(document: unknown): unknown {
  const sections = mapOf(document)
  if (sections === null || ![...sections.values()].includes(null)) return document
  return Object.fromEntries([...sections].filter(([, section]) => section !== null))
}
