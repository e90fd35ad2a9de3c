/** Kinds of values that several sections of the spec have: names, addresses, references to secrets. */
import { z } from 'zod'

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
const modelPattern = /^[A-Za-z0-9._:/-]{1,128}$/
const storePattern = /^(https?|s3):\/\/[^\s/@]+(\/\S*)?$/
const webPattern = /^https?:\/\/[^\s/@]+(\/\S*)?$/
/** Whoever stands on the way could bring keys of their own, so plain http is for this machine only. */
const issuerPattern = /^(https:\/\/[^\s/@?#]+|http:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?)(\/[^\s?#]*)?$/
const networkPattern = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)(\/\d{1,3})?$/
const referencePattern = /^\$\{(env:[A-Za-z_][A-Za-z0-9_]*|file:\/[^}]+|(vault|sops):[^#}]+#[^#}]+)\}$/

const says = {
  text: 'expected text',
  name: 'expected a name of letters, digits, dots, dashes and underscores, at most 63, starting with a letter or digit',
  model: 'expected a model name of letters, digits and . _ : / - (at most 128)',
  web: 'expected an address such as http://10.8.0.2:8000/v1 (without a user or password in it)',
  issuer: 'expected an https address such as https://login.example.com/realms/main (http on this machine only)',
  network: 'expected an IP address or a network, such as 10.8.0.0/24',
  reference: '${env:NAME}, ${file:/path}, ${vault:path#key} or ${sops:file#key}',
}

/** Text that is not empty. */
export const text = (meaning: string) =>
  z.string(says.text).min(1, 'must not be empty').meta({ title: 'text', description: meaning })

/** A name that other parts of the spec refer to. */
export const name = (meaning: string) =>
  z.string(says.name).regex(namePattern, says.name).meta({ title: 'name', description: meaning })

/** A public model name. */
export const model = (meaning: string) =>
  z.string(says.model).regex(modelPattern, says.model).meta({ title: 'model name', description: meaning })

/** An http or https address. */
export const web = (meaning: string) =>
  z.string(says.web).regex(webPattern, says.web).meta({ title: 'http(s) address', description: meaning })

/** Where objects are kept; `s3://` is AWS's way to say where. */
export const storeAddress = (meaning: string) =>
  z.string(says.web).regex(storePattern, says.web).meta({ title: 'http(s) or s3 address', description: meaning })

/** An identity provider's name, which is the address its keys are found from. */
export const issuer = (meaning: string) =>
  z.string(says.issuer).regex(issuerPattern, says.issuer).meta({ title: 'https address', description: meaning })

/** An IP address, or a network as CIDR. */
export const network = (meaning: string) =>
  z
    .string(says.network)
    .regex(networkPattern, says.network)
    .meta({ title: 'IP address or network', description: meaning })

/** Where a secret is to be found. A secret itself is refused, and never repeated in the message. */
export const secret = (meaning: string) => {
  const say = `is a secret, and secrets are never written here: put it elsewhere and write a reference, ${says.reference}`
  return z.string(say).regex(referencePattern, say).meta({ title: 'secret reference', description: meaning })
}

/** A word, or a reference to an address that holds credentials. */
export const wordOrSecret = (word: string, meaning: string) => {
  const say = `expected ${word} or a reference to an address (it holds a password): ${says.reference}`
  const either = new RegExp(`^${word}$|${referencePattern.source}`)
  return z
    .string(say)
    .regex(either, say)
    .meta({ title: `\`${word}\` or secret reference`, description: meaning })
}

export const port = (meaning: string) => z.int().min(1).max(65_535).meta({ title: 'port', description: meaning })
export const count = (meaning: string) => z.int().min(1).meta({ title: 'count', description: meaning })
export const flag = (meaning: string) => z.boolean().meta({ title: 'true or false', description: meaning })
export const positive = (meaning: string) => z.number().positive().meta({ title: 'number', description: meaning })

/** Settings that are handed on as they are; their names belong to somebody else. */
export const handedOn = (meaning: string) => z.record(z.string(), z.json()).meta({ title: 'map', description: meaning })

/** Bounds of a team or a model. */
export const limits = (meaning: string) =>
  z
    .strictObject({
      requestsPerMinute: count('Requests in any 60 seconds.').optional(),
      tokensPerMinute: count('Tokens in any 60 seconds, prompts and answers together.').optional(),
      parallel: count('Requests at once.').optional(),
    })
    .describe(meaning)
