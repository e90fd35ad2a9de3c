/** The spec as a file: YAML with the files it names, and every problem at its line and column. */
export { readSpecFile } from './read.ts'
export type { FileProblem, SpecFileReading } from './read.ts'
export { formatProblem } from './format.ts'
export { printYaml, readYamlFile } from './values.ts'
