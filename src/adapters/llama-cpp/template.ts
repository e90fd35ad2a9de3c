/** The chat template of a model: turns, and the tools that it may call, as the text it was taught. */
import { JinjaTemplateChatWrapper, LlamaText, SpecialTokensText } from 'node-llama-cpp'
import type { ChatHistoryItem } from 'node-llama-cpp'
import type { CallStyle, Turn } from './messages.ts'

/** `tools` in OpenAI's shape; `settings` are what the template reads besides (`enable_thinking`). */
export type Given = { tools: readonly unknown[]; settings: Record<string, unknown> }

export type Template = {
  /** It tells the model about tools itself, when it is given them. */
  readonly knowsTools: boolean
  /** The model writes its thought between `<think>` and `</think>`. */
  readonly thinks: boolean
  /** Calls in the history are written as it writes them; `json`: as we tell models whose template knows no tools. */
  readonly calls: CallStyle
  /** Throws where the template refuses the turns. */
  render(turns: readonly Turn[], given: Given): LlamaText
}

/** Made once: node-llama-cpp examines the template, for up to two seconds. */
export function openTemplate(template: string): Template {
  // The wrapper copies these at each rendering, and rendering is synchronous: what is in here then is what it reads.
  const variables: Record<string, unknown> = {}
  const wrapper = new JinjaTemplateChatWrapper({
    template,
    functionCallMessageTemplate: 'noJinja',
    reasoning: null,
    additionalRenderParameters: variables,
  })
  const thinks = template.includes('<think>')
  return {
    knowsTools: /\btools\b/.test(template),
    thinks,
    calls: template.includes('<tool_call>') ? 'tagged' : 'json',
    render(turns, { tools, settings }) {
      const chatHistory = turns.map(({ role, text }): ChatHistoryItem =>
        role === 'assistant' ? { type: 'model', response: [text] } : { type: role, text },
      )
      try {
        Object.assign(variables, settings, tools.length > 0 && { tools })
        const state = wrapper.generateContextState({ chatHistory: [...chatHistory, { type: 'model', response: [] }] })
        return thinks && settings['enable_thinking'] !== false
          ? withoutEmptyThought(state.contextText)
          : state.contextText
      } finally {
        for (const name of Object.keys(variables)) delete variables[name]
      }
    },
  }
}

/** Some templates write an empty thought in front of each answer of the history, and so of the one to come: it would have none. */
function withoutEmptyThought(text: LlamaText): LlamaText {
  const values = text.values.filter(value => value !== '')
  const last = values.at(-1)
  if (!(last instanceof SpecialTokensText)) return text
  const open = last.value.replace(/<think>\s*<\/think>\s*$/, '')
  return LlamaText([...values.slice(0, -1), new SpecialTokensText(open)])
}
