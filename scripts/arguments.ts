/** Arguments of the programs that are for us: `--help` says how to call them, and what they can't take ends them with a line. */
import { parseArgs } from 'node:util'
import { z } from 'zod'

type Asked<Switch extends string, Shape extends z.ZodRawShape> = Record<Switch, boolean> & z.output<z.ZodObject<Shape>>

/**
 * Reads the command line. `usage`: how the program is called and what it does. `switches` are there or not; `values` are
 * given behind their name. Ends the process: with 0 after `--help`, with 2 when something can't be taken.
 */
export function readArguments<Switch extends string, Shape extends z.ZodRawShape>({
  usage,
  switches,
  values,
}: {
  usage: string
  switches: readonly Switch[]
  values: Shape
}): Asked<Switch, Shape> {
  const found = parse([...switches, 'help'], Object.keys(values))
  if (found['help'] === true) {
    console.log(usage)
    process.exit(0)
  }
  const read = z.object(values).safeParse(found)
  if (!read.success) return refuse(read.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`))
  // Each name of `switches` is a key, and `parse` gave each a boolean.
  const given = Object.fromEntries(switches.map(name => [name, found[name] === true])) as Record<Switch, boolean>
  return { ...given, ...read.data }

  function parse(flags: readonly string[], named: readonly string[]): Record<string, unknown> {
    const options = Object.fromEntries([
      ...flags.map(name => [name, { type: 'boolean' as const }]),
      ...named.map(name => [name, { type: 'string' as const }]),
    ])
    try {
      return parseArgs({ options }).values
    } catch (error) {
      return refuse([error instanceof Error ? error.message : String(error)])
    }
  }

  function refuse(why: readonly string[]): never {
    console.error(`${why.join('\n')}\n\n${usage}`)
    process.exit(2)
  }
}

/** `a,b,c` */
export function commaList<Item extends z.ZodType<unknown, string>>(item: Item) {
  return z
    .string()
    .transform(text => text.split(','))
    .pipe(z.array(item))
}
